//! Calls that are given up in the middle, as at a caller's deadline: whoever has their connection next has it to himself.

use std::pin::pin;

use category_mirror::store::{self, BatchTarget, Store};
use futures::poll;
use tokio::task::yield_now;

use super::{REAL, at, batches::new_batch, id, new_run, store_with, tenant};

/// Polls a call so often, then gives it up.
async fn give_up(call: impl Future, polls: usize) {
    let mut call = pin!(call);
    for _ in 0..polls {
        if poll!(&mut call).is_ready() {
            return;
        }
        yield_now().await;
    }
}

#[tokio::test]
async fn what_is_answered_is_committed_whatever_was_given_up_before() {
    let others = store_with(&["a"]).await;
    // One connection: the next statement has that of the call before.
    let store = Store::new(store::connect(others.database.options(), 1));
    store.ping().await.expect("connected");
    for polls in 0..20 {
        for batch in [false, true] {
            if batch {
                let batch = new_batch(BatchTarget { organization: None, only: Some(vec![id("a")]) }, 1);
                give_up(store.accept_batch(at(0), &batch), polls).await;
            } else {
                give_up(store.accept(at(0), &new_run("a", REAL)), polls).await;
            }
            let next = tenant(&format!("next-{polls}-{batch}"));
            store.insert_tenant(at(0), &next).await.expect("answered");
            assert!(others.tenant(&next.id).await.is_ok(), "given up after {polls} polls, batch: {batch}");
        }
    }
}
