//! Calls that are given up in the middle, as at a caller's deadline: whoever has their connection next has it to himself.

use std::pin::pin;

use category_mirror::{
    domain::{RunId, RunState},
    error::Error,
    store::{self, BatchTarget, ClaimLimits, Store},
};
use futures::poll;
use tokio::task::yield_now;

use super::{LEASE, REAL, TestStore, at, batches::new_batch, id, new_run, store_with, tenant};
use crate::pooler;

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
    gives_up_and_commits(&others, &store, 20).await;
}

#[tokio::test]
async fn what_is_answered_through_a_pooler_is_committed_whatever_was_given_up_before() {
    if !pooler::is_installed() {
        return;
    }
    let others = store_with(&["a"]).await;
    let store = Store::new(others.database.pooled(1).await);
    // Each statement is several messages there, and may be given up between any two of them.
    gives_up_and_commits(&others, &store, 40).await;
    // What was refused has left the connection in no transaction.
    let taken = tenant("next-0-false");
    assert!(matches!(store.insert_tenant(at(0), &taken).await, Err(Error::AlreadyExists(..))));
    store.insert_tenant(at(0), &tenant("last")).await.expect("answered");
    assert!(others.tenant(&id("last")).await.is_ok());
}

async fn gives_up_and_commits(others: &TestStore, store: &Store, most_polls: usize) {
    store.ping().await.expect("connected");
    for polls in 0..most_polls {
        for batch in [false, true] {
            if batch {
                let batch = new_batch(BatchTarget { organization: None, visible_tenants: Some(vec![id("a")]) }, 1);
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

/// Has the database carry out a claim whose answer nobody hears. False where it ended the claim with its connection.
async fn claimed_unheard(store: &TestStore, run: RunId) -> bool {
    let mut locked = store.pool.begin().await.expect("begun");
    sqlx::query("lock table run in access exclusive mode").execute(&mut *locked).await.expect("locked");
    let active = async |waits: &'static str| {
        let claims = "select count(*) from pg_stat_activity
                       where datname = current_database() and state = 'active' and coalesce(wait_event_type, '') like $1
                         and query like 'with interactive%' and pid <> pg_backend_pid()";
        sqlx::query_scalar::<_, i64>(claims).bind(waits).fetch_one(&store.pool).await.expect("counted")
    };
    {
        let mut claim = pin!(store.store.claim(at(0), ClaimLimits::of(1), LEASE));
        while active("Lock").await == 0 {
            assert!(poll!(&mut claim).is_pending(), "the table is locked");
        }
    }
    locked.rollback().await.expect("released");
    loop {
        if store.run(run).await.expect("read").expect("there").state == RunState::Running {
            return true;
        }
        if active("%").await == 0 {
            return false;
        }
    }
}

#[tokio::test]
async fn a_claim_without_an_answer_leaves_no_run_to_its_lease() {
    let store = store_with(&["a"]).await;
    // Prepares the statement, so that the next one is sent whole before the database waits for a lock.
    assert!(store.store.claim(at(0), ClaimLimits::of(1), LEASE).await.expect("claimed").is_empty());
    let run = store.accepted(0, "a").await;
    while !claimed_unheard(&store, run.id).await {}
    let returned = loop {
        let returned = store.return_unanswered_claims().await.expect("asked");
        if !returned.is_empty() {
            break returned;
        }
    };
    assert_eq!(returned, [run.id]);
    let again = store.claim_one(1).await;
    assert_eq!(
        (again.run.id, again.run.attempt, again.run.uncounted_attempts),
        (run.id, 1, 1),
        "the lost attempt does not count"
    );
    assert!(store.return_unanswered_claims().await.expect("asked").is_empty(), "what was answered is left alone");
}

#[tokio::test]
async fn a_connection_whose_opening_was_given_up_is_there_for_the_next_statement() {
    let others = store_with(&["a"]).await;
    let store = Store::new(store::connect(others.database.options(), 5));
    give_up(store.tenant(&id("a")), 1).await;
    let open = || store.connections().into_iter().find(|(pool, _)| *pool == "main").expect("the pool of calls").1;
    let opened = async {
        while open().idle != 1 {
            yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), opened).await.expect("it is opened, and waits");
    store.tenant(&id("a")).await.expect("read");
    assert_eq!((open().open, open().idle), (1, 1), "by the same one");
}
