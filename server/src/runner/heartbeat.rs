//! Keeping leases alive, and picking up those of the dead.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::{Tools, cause, claims::Claims};
use crate::{
    error::Error,
    store::Now,
    wake::{Hint, Hints, Topic},
};

/// Heartbeats in a lease: two may fail.
const BEATS: u32 = 3;
/// The wait after a renewal that failed: a lease that is not renewed for long is lost.
const RENEW_RETRY: Duration = Duration::from_secs(1);
/// How many expired leases one statement takes over.
const RESCUE_BATCH: i64 = 500;
/// How often a run may be handed back before an expired lease ends it: a run that kills its holder must not do so for ever. High,
/// because the runs beside it die with it.
const PATIENCE: i32 = 20;

/// Renews every held lease with one statement, three times a lease, and at once when somebody cancels a run.
pub(super) async fn run(tools: Arc<Tools>, claims: Claims, stop: CancellationToken) {
    let mut hints = tools.wake.subscribe(Topic::Cancellations);
    let mut beat = interval(tools.settings.lease / BEATS);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = beat.tick() => {}
            () = cancellation(&mut hints, &claims) => continue,
        }
        // An answer that comes later than the next beat is of no use: a new one is asked for, on another connection.
        let renewed = timeout(beat.period(), renew(&tools, &claims)).await;
        let failure = match &renewed {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => cause(error),
            Err(_late) => "the database did not answer in time".to_owned(),
        };
        tracing::warn!(error = failure, "cannot renew leases");
        beat.reset_after(RENEW_RETRY.min(beat.period()));
    }
}

/// Looks for expired leases, three times a lease. Apart from the renewals, which must not wait for it.
pub(super) async fn rescue_expired(tools: Arc<Tools>) {
    let mut beat = interval(tools.settings.lease / BEATS);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        if let Err(error) = rescue(&tools, None).await {
            tracing::warn!(error = %cause(&error), "cannot look for expired leases");
        }
    }
}

async fn cancellation(hints: &mut Hints, claims: &Claims) {
    if let Hint::Cancel(run) = hints.next().await {
        claims.cancel(run);
    }
}

async fn renew(tools: &Tools, claims: &Claims) -> Result<(), Error> {
    let held = claims.held();
    if held.is_empty() {
        return Ok(());
    }
    let sent = Instant::now();
    let answered = tools.store.heartbeat(None, &held, tools.settings.lease).await?;
    claims.heard(&held, &answered, sent, tools.settings.lease);
    Ok(())
}

/// Queues runs again whose lease has expired.
pub(super) async fn rescue(tools: &Tools, now: Now) -> Result<(), Error> {
    let rescued = tools.store.rescue(now, RESCUE_BATCH, PATIENCE).await?;
    if rescued.is_empty() {
        return Ok(());
    }
    for hopeless in rescued.iter().filter(|run| run.given_up) {
        tracing::error!(run_id = %hopeless.id, "gave a run up: its lease expired too often");
    }
    tracing::warn!(runs = rescued.len(), "took over runs whose lease had expired");
    metrics::counter!("category_mirror_rescued_total").increment(rescued.len() as u64);
    tools.wake.hint(Hint::Queued);
    tools.wake.hint(Hint::Changed(rescued.iter().map(|run| run.id).collect()));
    Ok(())
}
