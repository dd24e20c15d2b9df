//! The end of a dispatcher: what it holds ends within the grace period, or returns to the queue.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{
    claiming::return_unanswered_claims,
    polling::{Dispatcher, log_end},
    prefetch,
    release::release_until,
};
use crate::runner::context::error_chain;

/// How long the drain waits for a claim that the database has not answered, and repeats the last release, once the grace period has ended.
/// Short, because a supervisor kills a process that stays longer; longer than one wait for a connection (3 s), so that it is tried once more.
const FINAL_RELEASE_TIMEOUT: Duration = Duration::from_secs(5);

/// Waits for the attempts within the grace period, and releases everything else. Nothing may be claimed any more.
pub(in crate::runner) async fn drain(dispatcher: &mut Dispatcher) {
    let Dispatcher { context, leases, prefetched, attempts, claiming, .. } = dispatcher;
    let deadline = Instant::now() + context.settings.grace;
    // First what has not begun: other processes can execute it at once.
    let not_begun = prefetched.take_all();
    if !not_begun.is_empty() {
        release_until(context, &prefetch::keys(&not_begun), deadline).await;
    }
    // Held until here, so that the leases were renewed while the release was repeated.
    drop(not_begun);
    let in_progress = leases.len();
    if in_progress > 0 {
        tracing::info!(runs = in_progress, "waiting for running attempts");
    }
    let all_ended = async {
        while let Some(ended) = attempts.join_next().await {
            log_end(ended);
        }
    };
    let late_deadline = deadline.max(Instant::now() + FINAL_RELEASE_TIMEOUT);
    let late_claims = async {
        while let Some(claimed) = claiming.join_next().await {
            // A claim that failed or panicked has brought nothing that could be released by its keys.
            let Ok(Ok(late)) = claimed else { continue };
            if !late.is_empty() {
                release_until(context, &prefetch::keys(&late), late_deadline).await;
            }
        }
        if let Err(error) = return_unanswered_claims(context).await {
            tracing::warn!(error = %error_chain(&error), "could not return runs whose claim had no answer");
        }
    };
    // Both at once: a late claim holds runs that no attempt here will execute.
    let (all_ended, _late_claims) =
        tokio::join!(timeout_at(deadline, all_ended), timeout_at(late_deadline, late_claims));
    if all_ended.is_ok() {
        return;
    }
    // Read before the attempts are aborted, because each gives up its lease when it is dropped. What they were writing is in their intents:
    // the next attempt checks whether it took effect.
    let held = leases.keys();
    attempts.shutdown().await;
    tracing::warn!(runs = held.len(), "runs did not end within the grace period");
    release_until(context, &held, Instant::now() + FINAL_RELEASE_TIMEOUT).await;
}
