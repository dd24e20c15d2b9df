//! The upkeep of the tables: partitions for the next days, rollups, and the deletion of what has expired.

use std::{sync::Arc, time::Duration};

use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::runner::context::{RunnerContext, error_chain};

/// Between preparations of the history's next days, which are made days ahead.
const HISTORY_INTERVAL: Duration = Duration::from_secs(3600);
/// Between deletions, while there is little to delete.
const CLEANUP_INTERVAL: Duration = Duration::from_secs(60);
/// How many rows one statement deletes: some tens of milliseconds of work.
const DELETE_BATCH_SIZE: u64 = 10_000;

/// Between rollups. Every reader of the statistics adds the deltas that are not rolled up yet.
const COMPACT_INTERVAL: Duration = Duration::from_secs(2);
/// How many deltas one statement rolls up.
const COMPACT_BATCH_SIZE: i64 = 1_000;

/// Prepares the history's next days and drops expired ones, rolls up deltas and days that have ended, deletes recorded responses that are too
/// old to be replayed, and counts the accounts whose credentials Google rejects. Never ends.
///
/// Rollups and deletions do not wait for the history, whose statements may wait for a reader. Those of the history lock the same table, and so
/// take turns. Every error is only logged: the next tick tries again.
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
