//! What nobody waits for: making room for what is to come, summing up, and forgetting what has had its time.

use std::{sync::Arc, time::Duration};

use tokio::time::{Interval, MissedTickBehavior, interval};

use super::{Tools, cause};

/// Between looks at what comes, which is days away.
const HOUR: Duration = Duration::from_secs(3600);
/// Between looks, while there is little to forget.
const PAUSE: Duration = Duration::from_secs(60);
/// How many rows one statement forgets: some tens of milliseconds of work.
const BATCH: u64 = 10_000;

/// Between sums. What is not summed up yet, every reader of the statistics adds for itself.
const SUMMING: Duration = Duration::from_secs(2);
/// How many counts one statement sums up.
const COUNTS: i64 = 1_000;

/// Prepares the history's next days and drops those whose time has come, sums counts up, counts days that are over, forgets
/// answers to request ids that are too old to be asked for again, and counts the accounts that Google refuses. Never ends.
///
/// Sums and what is forgotten do not wait for the history: a piece of it may wait for a reader. Its own pieces lock the same table, and so
/// take turns.
pub(super) async fn run(tools: Arc<Tools>) {
    tokio::join!(keep_history(&tools), sum_up(&tools), forget(&tools));
}

async fn keep_history(tools: &Tools) {
    let (mut hour, mut counting) = (every(HOUR), every(PAUSE));
    loop {
        tokio::select! {
            _ = hour.tick() => shorten_history(tools).await,
            _ = counting.tick() => match tools.store.count_day(None).await {
                // There may be more.
                Ok(true) => counting.reset_immediately(),
                Ok(false) => {}
                Err(error) => tracing::warn!(error = %cause(&error), "cannot count a day for its tenants yet"),
            },
        }
    }
}

async fn shorten_history(tools: &Tools) {
    if let Err(error) = tools.store.prepare_history(None).await {
        tracing::warn!(error = %cause(&error), "cannot prepare the history's next days");
    }
    match tools.store.drop_history(None, tools.settings.retention).await {
        Ok(0) => {}
        Ok(days) => tracing::info!(days, "dropped days of history"),
        Err(error) => tracing::warn!(error = %cause(&error), "cannot drop old days of history yet"),
    }
}

async fn sum_up(tools: &Tools) {
    let mut summing = every(SUMMING);
    loop {
        summing.tick().await;
        match tools.store.fold_rollups(COUNTS).await {
            Ok(COUNTS) => summing.reset_immediately(),
            Ok(_) => {}
            Err(error) => tracing::warn!(error = %cause(&error), "cannot sum counts up"),
        }
    }
}

async fn forget(tools: &Tools) {
    let mut pause = every(PAUSE);
    loop {
        pause.tick().await;
        tools.accounts.count().await;
        if let Err(error) = tools.store.forget_rollups(None, BATCH).await {
            tracing::warn!(error = %cause(&error), "cannot forget old counts");
        }
        match tools.store.forget_requests(None, BATCH).await {
            // There may be more.
            Ok(BATCH) => pause.reset_immediately(),
            Ok(_) => {}
            Err(error) => tracing::warn!(error = %cause(&error), "cannot forget old request ids"),
        }
    }
}

/// Ticks at once, and then with this pause at least.
fn every(pause: Duration) -> Interval {
    let mut ticks = interval(pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
