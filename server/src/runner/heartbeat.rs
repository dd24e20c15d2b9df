//! Keeping leases alive, and picking up those of the dead.

use std::{sync::Arc, time::Instant};

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{Tools, cause, claims::Claims};
use crate::{
    error::Error,
    store::Now,
    wake::{Hint, Hints, Topic},
};

/// Heartbeats in a lease: two may fail.
const BEATS: u32 = 3;
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
        if let Err(error) = renew(&tools, &claims).await {
            tracing::warn!(error = %cause(&error), "cannot renew leases");
        }
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
