//! What nobody waits for: forgetting what has had its time.

use std::{sync::Arc, time::Duration};

use tokio::time::{MissedTickBehavior, interval};

use super::{Tools, cause};

/// Between looks, while there is little to forget.
const PAUSE: Duration = Duration::from_secs(60);
/// How many rows one statement forgets: some tens of milliseconds of work.
const BATCH: u64 = 10_000;

/// Forgets answers to request ids that are too old to be asked for again, and counts the accounts that Google refuses. Never ends.
pub(super) async fn run(tools: Arc<Tools>) {
    let mut pause = interval(PAUSE);
    pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        pause.tick().await;
        tools.accounts.count().await;
        match tools.store.forget_requests(None, BATCH).await {
            // There may be more.
            Ok(BATCH) => pause.reset_immediately(),
            Ok(_) => {}
            Err(error) => tracing::warn!(error = %cause(&error), "cannot forget old request ids"),
        }
    }
}
