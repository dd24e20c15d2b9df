//! What nobody waits for: making room for what is to come, and forgetting what has had its time.

use std::{sync::Arc, time::Duration};

use tokio::time::{MissedTickBehavior, interval};

use super::{Tools, cause};

/// Between looks at what comes, which is days away.
const HOUR: Duration = Duration::from_secs(3600);
/// Between looks, while there is little to forget.
const PAUSE: Duration = Duration::from_secs(60);
/// How many rows one statement forgets: some tens of milliseconds of work.
const BATCH: u64 = 10_000;

/// Prepares the history's next days, forgets answers to request ids that are too old to be asked for again, and counts the accounts that
/// Google refuses. Never ends.
pub(super) async fn run(tools: Arc<Tools>) {
    let (mut hour, mut pause) = (interval(HOUR), interval(PAUSE));
    hour.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = hour.tick() => {
                if let Err(error) = tools.store.prepare_history(None).await {
                    tracing::warn!(error = %cause(&error), "cannot prepare the history's next days");
                }
            }
            _ = pause.tick() => {
                tools.accounts.count().await;
                match tools.store.forget_requests(None, BATCH).await {
                    // There may be more.
                    Ok(BATCH) => pause.reset_immediately(),
                    Ok(_) => {}
                    Err(error) => tracing::warn!(error = %cause(&error), "cannot forget old request ids"),
                }
            }
        }
    }
}
