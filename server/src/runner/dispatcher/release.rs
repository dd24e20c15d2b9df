//! The release of claims: runs return to the queue before their leases expire.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::prefetch::{self, PrefetchedRun};
use crate::{
    runner::context::{RunnerContext, error_chain},
    store::LeaseKey,
    wake::WakeUp,
};

/// The wait between tries.
const RETRY_DELAY: Duration = Duration::from_millis(10);

/// Releases runs that got no slot here, with one try. It takes them, because with them their leases are no longer renewed here: if the
/// statement fails, they soon expire.
pub(super) async fn release(context: &RunnerContext, prefetched: Vec<PrefetchedRun>) {
    if !prefetched.is_empty() {
        release_until(context, &prefetch::keys(&prefetched), Instant::now()).await;
    }
}

/// Releases claims. A statement that fails is repeated until `deadline`: without it the runs would lie idle until their leases expire.
/// Repeating is safe, because a claim that was released no longer matches its fencing token and state.
pub(super) async fn release_until(context: &RunnerContext, held: &[LeaseKey], deadline: Instant) {
    loop {
        match context.store.release(held).await {
            Ok(runs) => {
                tracing::info!(runs = runs.len(), "released runs that got no slot or no time here");
                context.wake.send(WakeUp::RunsReady);
                context.wake.send(WakeUp::RunsChanged(runs.into()));
                return;
            }
            // A deadline that has passed already means one try: a run that waits for its lease to expire is late, and nothing else.
            Err(error) if Instant::now() < deadline => {
                tracing::warn!(error = %error_chain(&error), "failed to release runs; trying again");
                sleep(RETRY_DELAY).await;
            }
            Err(error) => {
                tracing::error!(error = %error_chain(&error), "failed to release runs; their leases will expire");
                return;
            }
        }
    }
}
