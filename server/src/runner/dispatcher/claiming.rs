//! The claims themselves: each is held here before anything else can fail.

use std::{sync::Arc, time::Instant};

use super::prefetch::PrefetchedRun;
use crate::{
    error::Error,
    runner::{context::RunnerContext, leases::HeldLeases},
    store::{ClaimLimits, ClaimedRun, StatementTime},
    wake::WakeUp,
};

/// Claims ready runs.
pub(super) async fn claim(
    context: Arc<RunnerContext>,
    leases: HeldLeases,
    now: StatementTime,
    limits: ClaimLimits,
) -> Result<Vec<PrefetchedRun>, Error> {
    // Before the statement, as the lease is counted from here.
    let since = Instant::now();
    let claimed = context.store.claim(now, limits, context.settings.lease).await?;
    Ok(hold(&context, &leases, now, since, claimed).await)
}

/// Claims the run for a probe. If every ready run was probed in this rotation, the next rotation begins.
pub(super) async fn claim_for_probe(context: &RunnerContext, leases: &HeldLeases) -> Result<Vec<PrefetchedRun>, Error> {
    let RunnerContext { store, circuit, settings, .. } = context;
    let since = Instant::now();
    let probed = circuit.probed();
    let mut claimed = store.claim_for_probe(None, &probed, settings.lease).await?;
    if claimed.is_none() && !probed.is_empty() {
        circuit.forget_probed();
        claimed = store.claim_for_probe(None, &[], settings.lease).await?;
    }
    Ok(hold(context, leases, None, since, claimed.into_iter().collect()).await)
}

/// Returns to the queue what was claimed here without an answer: no other process would before the leases expire.
pub(super) async fn return_unanswered_claims(context: &RunnerContext) -> Result<(), Error> {
    let returned = context.store.return_unanswered_claims().await?;
    if !returned.is_empty() {
        tracing::info!(runs = returned.len(), "returned runs whose claim had no answer");
        context.wake.send(WakeUp::RunsReady);
        context.wake.send(WakeUp::RunsChanged(returned.into()));
    }
    Ok(())
}

/// Holds what a claim that was sent at `since` has brought, and reads the platform's side of all of it at once.
async fn hold(
    context: &RunnerContext,
    leases: &HeldLeases,
    now: StatementTime,
    since: Instant,
    claimed: Vec<ClaimedRun>,
) -> Vec<PrefetchedRun> {
    if claimed.is_empty() {
        return Vec::new();
    }
    // Held before the read below: the next renewal is to cover them, however long it takes.
    let held: Vec<_> = claimed.iter().map(|claimed| leases.hold(claimed, since, context.settings.lease)).collect();
    context.wake.send(WakeUp::RunsChanged(claimed.iter().map(|claimed| claimed.run.id).collect()));
    let runs: Vec<_> = claimed.iter().map(|claimed| &claimed.run).collect();
    // The error is ignored: one of the runs may be what cannot be read, and alone, each meets its own error.
    let mut snapshots = context.store.tenant_snapshots(now, &runs).await.ok();
    let prefetched = claimed.into_iter().zip(held).map(|(claimed, lease)| {
        let snapshot = snapshots.as_mut().map(|snapshots| snapshots.remove(&claimed.run.id));
        PrefetchedRun { claimed, lease, snapshot, since }
    });
    prefetched.collect()
}
