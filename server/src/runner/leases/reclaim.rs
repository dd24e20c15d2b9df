//! The leases that have expired, whichever process held them.

use std::sync::Arc;

use tokio::time::{MissedTickBehavior, interval};

use super::renewal::RENEWALS_PER_LEASE;
use crate::{
    error::Error,
    runner::context::{RunnerContext, error_chain},
    store::StatementTime,
    wake::WakeUp,
};

/// How many expired leases one statement reclaims.
const RECLAIM_BATCH_SIZE: i64 = 500;
/// How many leases of a run may expire before the run fails: a run that crashes its holder must not do so indefinitely. High, because the
/// runs beside it lose their leases with it.
const MAX_LEASE_EXPIRATIONS: i32 = 20;

/// Reclaims expired leases, three times per lease. A task of its own, because renewals must not wait for it. Never ends.
pub(in crate::runner) async fn keep_reclaiming_expired(context: Arc<RunnerContext>) {
    // As often as leases are renewed, so an expired one is found within a third of a lease.
    let mut ticks = interval(context.settings.lease / RENEWALS_PER_LEASE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = reclaim_expired(&context, None).await {
            tracing::warn!(error = %error_chain(&error), "cannot reclaim expired leases");
        }
    }
}

/// Returns runs whose lease has expired to the queue.
pub(in crate::runner) async fn reclaim_expired(context: &RunnerContext, now: StatementTime) -> Result<(), Error> {
    let reclaimed = context.store.reclaim_expired(now, RECLAIM_BATCH_SIZE, MAX_LEASE_EXPIRATIONS).await?;
    if reclaimed.is_empty() {
        return Ok(());
    }
    for exhausted in reclaimed.iter().filter(|run| run.failed) {
        tracing::error!(run_id = %exhausted.id, "run failed: its lease expired too often");
    }
    tracing::warn!(runs = reclaimed.len(), "took over runs whose lease had expired");
    metrics::counter!("category_mirror_lease_expirations_total").increment(reclaimed.len() as u64);
    // After the commit: a poll that is woken sooner would not find them.
    context.wake.send(WakeUp::RunsReady);
    context.wake.send(WakeUp::RunsChanged(reclaimed.iter().map(|run| run.id).collect()));
    Ok(())
}
