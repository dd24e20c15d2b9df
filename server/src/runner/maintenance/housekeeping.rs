//! What nobody waits for: making room for what is to come, summing up, and forgetting what has had its time.

use std::{sync::Arc, time::Duration};

use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::runner::context::{RunnerContext, error_chain};

/// Between polls of what comes, which is days away.
const HISTORY_INTERVAL: Duration = Duration::from_secs(3600);
/// Between polls, while there is little to forget.
const CLEANUP_INTERVAL: Duration = Duration::from_secs(60);
/// How many rows one statement forgets: some tens of milliseconds of work.
const DELETE_BATCH_SIZE: u64 = 10_000;

/// Between sums. What is not summed up yet, every reader of the statistics adds for itself.
const COMPACT_INTERVAL: Duration = Duration::from_secs(2);
/// How many counts one statement sums up.
const COMPACT_BATCH_SIZE: i64 = 1_000;

/// Prepares the history's next days and drops those whose time has come, sums counts up, counts days that are over, forgets
/// answers to request ids that are too old to be asked for again, and counts the accounts that Google refuses. Never ends.
///
/// Sums and what is forgotten do not wait for the history: a piece of it may wait for a reader. Its own pieces lock the same table, and so
/// take turns.
pub(in crate::runner) async fn keep_house(context: Arc<RunnerContext>) {
    tokio::join!(keep_history(&context), compact(&context), delete_expired(&context));
}

async fn keep_history(context: &RunnerContext) {
    let (mut hour, mut counting) = (interval_of(HISTORY_INTERVAL), interval_of(CLEANUP_INTERVAL));
    loop {
        tokio::select! {
            _ = hour.tick() => shorten_history(context).await,
            _ = counting.tick() => match context.store.roll_up_day(None).await {
                // There may be more.
                Ok(true) => counting.reset_immediately(),
                Ok(false) => {}
                Err(error) => tracing::warn!(error = %error_chain(&error), "cannot count a day for its tenants yet"),
            },
        }
    }
}

async fn shorten_history(context: &RunnerContext) {
    if let Err(error) = context.store.prepare_history(None).await {
        tracing::warn!(error = %error_chain(&error), "cannot prepare the history's next days");
    }
    match context.store.drop_history(None, context.settings.retention).await {
        Ok(0) => {}
        Ok(days) => tracing::info!(days, "dropped days of history"),
        Err(error) => tracing::warn!(error = %error_chain(&error), "cannot drop old days of history yet"),
    }
}

async fn compact(context: &RunnerContext) {
    let mut summing = interval_of(COMPACT_INTERVAL);
    loop {
        summing.tick().await;
        match context.store.compact_rollup_deltas(COMPACT_BATCH_SIZE).await {
            Ok(COMPACT_BATCH_SIZE) => summing.reset_immediately(),
            Ok(_) => {}
            Err(error) => tracing::warn!(error = %error_chain(&error), "cannot sum counts up"),
        }
    }
}

async fn delete_expired(context: &RunnerContext) {
    let mut pause = interval_of(CLEANUP_INTERVAL);
    loop {
        pause.tick().await;
        context.accounts.count().await;
        if let Err(error) = context.store.delete_expired_rollups(None, DELETE_BATCH_SIZE).await {
            tracing::warn!(error = %error_chain(&error), "cannot forget old counts");
        }
        match context.store.delete_expired_requests(None, DELETE_BATCH_SIZE).await {
            // There may be more.
            Ok(DELETE_BATCH_SIZE) => pause.reset_immediately(),
            Ok(_) => {}
            Err(error) => tracing::warn!(error = %error_chain(&error), "cannot forget old request ids"),
        }
    }
}

/// Ticks at once, and then with this pause at least.
fn interval_of(pause: Duration) -> Interval {
    let mut ticks = interval(pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
