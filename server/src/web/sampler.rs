//! Samples the gauges that no event updates: queue, out-of-sync tenants and database connections.

use std::time::Duration;

use chrono::{DateTime, Utc};
use metrics::gauge;
use tokio::time::{MissedTickBehavior, interval};

use super::recorder;
use crate::{domain::SyncFilter, error::Error, store::Store};

/// Interval between samples, independent of scrapes.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(10);

/// Samples periodically. Never returns.
pub async fn sample(store: Store) {
    let recorder = recorder();
    let mut ticks = interval(SAMPLE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        connections(&store);
        for sampled in [queue(&store).await, in_conflict(&store).await, out_of_sync(&store).await] {
            if let Err(error) = sampled {
                // The health check reports that the database is unavailable.
                tracing::debug!(%error, "cannot look at the database for the metrics");
            }
        }
        // Histograms keep each value until a scrape or this call.
        recorder.run_upkeep();
    }
}

async fn queue(store: &Store) -> Result<(), Error> {
    let queue = store.queue_sample(None).await?;
    let counts = [
        ("ready_interactive", queue.interactive),
        ("ready_bulk", queue.bulk),
        ("delayed", queue.delayed),
        ("running", queue.running),
    ];
    for (state, runs) in counts {
        gauge!("category_mirror_live_runs", "state" => state).set(number(runs));
    }
    for (priority, since) in [("interactive", queue.interactive_since), ("bulk", queue.bulk_since)] {
        gauge!("category_mirror_queue_head_age_seconds", "priority" => priority).set(age(queue.at, since));
    }
    Ok(())
}

async fn in_conflict(store: &Store) -> Result<(), Error> {
    gauge!("category_mirror_in_conflict_tenants").set(number(store.in_conflict_sample().await?));
    Ok(())
}

async fn out_of_sync(store: &Store) -> Result<(), Error> {
    for (cause, tenants) in store.out_of_sync(&SyncFilter::default()).await? {
        gauge!("category_mirror_out_of_sync_tenants", "cause" => cause.as_str()).set(number(tenants));
    }
    Ok(())
}

fn age(now: DateTime<Utc>, since: Option<DateTime<Utc>>) -> f64 {
    since.map_or(0.0, |since| (now - since).as_seconds_f64().max(0.0))
}

fn connections(store: &Store) {
    for (pool, connections) in store.connections() {
        let used = connections.open - connections.idle.min(connections.open);
        gauge!("category_mirror_database_connections", "pool" => pool, "state" => "used").set(used);
        gauge!("category_mirror_database_connections", "pool" => pool, "state" => "idle").set(connections.idle);
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of runs and tenants are far below 2^53")]
fn number(count: i64) -> f64 {
    count as f64
}
