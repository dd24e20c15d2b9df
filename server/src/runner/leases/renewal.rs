//! The renewal of all held leases by one statement.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::held::HeldLeases;
use crate::{
    error::Error,
    runner::context::{RunnerContext, error_chain},
    wake::{Topic, WakeUp, WakeUpReceiver},
};

/// Renewals per lease: two in a row may fail.
pub(super) const RENEWALS_PER_LEASE: u32 = 3;
/// The wait after a renewal that failed: a lease that is not renewed for long is lost.
const RENEW_RETRY_DELAY: Duration = Duration::from_secs(1);

/// Renews every held lease with one statement, three times per lease, and notes at once when a caller asks to cancel a run. Ends with
/// `stop`.
pub(in crate::runner) async fn keep_renewing(context: Arc<RunnerContext>, leases: HeldLeases, stop: CancellationToken) {
    let mut wake_ups = context.wake.subscribe(Topic::Cancellations);
    let mut ticks = interval(context.settings.lease / RENEWALS_PER_LEASE);
    // After a stall, one renewal serves all that were missed.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
            () = apply_cancellation(&mut wake_ups, &leases) => continue,
        }
        // An answer that comes later than the next tick is of no use: a new one is asked for, on another connection.
        let renewed = timeout(ticks.period(), renew(&context, &leases)).await;
        let failure = match &renewed {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => error_chain(error),
            Err(_late) => "the database did not answer in time".to_owned(),
        };
        // The leases go on to be held: each expires by itself, and an attempt checks its own before it writes.
        tracing::warn!(error = failure, "cannot renew leases");
        ticks.reset_after(RENEW_RETRY_DELAY.min(ticks.period()));
    }
}

/// Applies the next wake-up, if it is a cancellation. A wake-up that is missed costs time only: each renewal reports cancellations too.
async fn apply_cancellation(wake_ups: &mut WakeUpReceiver, leases: &HeldLeases) {
    if let WakeUp::CancelRequested(run) = wake_ups.next().await {
        leases.cancel(run);
    }
}

async fn renew(context: &RunnerContext, leases: &HeldLeases) -> Result<(), Error> {
    let held = leases.keys();
    if held.is_empty() {
        return Ok(());
    }
    // Before the statement: the lease must not seem to last longer here than it does in the database.
    let sent = Instant::now();
    let answered = context.store.renew_leases(None, &held, context.settings.lease).await?;
    leases.apply_renewal(&held, &answered, sent, context.settings.lease);
    Ok(())
}
