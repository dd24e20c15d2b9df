//! Keeping leases alive, and picking up those of the dead.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::{RunnerContext, error_chain, held_leases::HeldLeases};
use crate::{
    error::Error,
    store::StatementTime,
    wake::{Topic, WakeUp, WakeUpReceiver},
};

/// Heartbeats in a lease: two may fail.
const RENEWALS_PER_LEASE: u32 = 3;
/// The wait after a renewal that failed: a lease that is not renewed for long is lost.
const RENEW_RETRY_DELAY: Duration = Duration::from_secs(1);
/// How many expired leases one statement takes over.
const RECLAIM_BATCH_SIZE: i64 = 500;
/// How many leases of a run may expire before that ends it: a run that kills its holder must not do so for ever. High,
/// because the runs beside it die with it.
const MAX_LEASE_EXPIRATIONS: i32 = 20;

/// Renews every held lease with one statement, three times a lease, and at once when somebody cancels a run.
pub(super) async fn run(context: Arc<RunnerContext>, claims: HeldLeases, stop: CancellationToken) {
    let mut wake_ups = context.wake.subscribe(Topic::Cancellations);
    let mut ticks = interval(context.settings.lease / RENEWALS_PER_LEASE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
            () = apply_cancellation(&mut wake_ups, &claims) => continue,
        }
        // An answer that comes later than the next beat is of no use: a new one is asked for, on another connection.
        let renewed = timeout(ticks.period(), renew(&context, &claims)).await;
        let failure = match &renewed {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => error_chain(error),
            Err(_late) => "the database did not answer in time".to_owned(),
        };
        tracing::warn!(error = failure, "cannot renew leases");
        ticks.reset_after(RENEW_RETRY_DELAY.min(ticks.period()));
    }
}

/// Looks for expired leases, three times a lease. Apart from the renewals, which must not wait for it.
pub(super) async fn keep_reclaiming_expired(context: Arc<RunnerContext>) {
    let mut ticks = interval(context.settings.lease / RENEWALS_PER_LEASE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = reclaim_expired(&context, None).await {
            tracing::warn!(error = %error_chain(&error), "cannot reclaim expired leases");
        }
    }
}

async fn apply_cancellation(wake_ups: &mut WakeUpReceiver, claims: &HeldLeases) {
    if let WakeUp::CancelRequested(run) = wake_ups.next().await {
        claims.cancel(run);
    }
}

async fn renew(context: &RunnerContext, claims: &HeldLeases) -> Result<(), Error> {
    let held = claims.held();
    if held.is_empty() {
        return Ok(());
    }
    let sent = Instant::now();
    let answered = context.store.renew_leases(None, &held, context.settings.lease).await?;
    claims.apply_renewal(&held, &answered, sent, context.settings.lease);
    Ok(())
}

/// Queues runs again whose lease has expired.
pub(super) async fn reclaim_expired(context: &RunnerContext, now: StatementTime) -> Result<(), Error> {
    let reclaimed = context.store.reclaim_expired(now, RECLAIM_BATCH_SIZE, MAX_LEASE_EXPIRATIONS).await?;
    if reclaimed.is_empty() {
        return Ok(());
    }
    for exhausted in reclaimed.iter().filter(|run| run.failed) {
        tracing::error!(run_id = %exhausted.id, "gave a run up: its lease expired too often");
    }
    tracing::warn!(runs = reclaimed.len(), "took over runs whose lease had expired");
    metrics::counter!("category_mirror_lease_expirations_total").increment(reclaimed.len() as u64);
    context.wake.send(WakeUp::RunsReady);
    context.wake.send(WakeUp::RunsChanged(reclaimed.iter().map(|run| run.id).collect()));
    Ok(())
}
