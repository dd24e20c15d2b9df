//! Making the runs of a batch, in chunks of several sizes.

use std::time::{Duration, Instant};

use chrono::Utc;
use serde_json::json;

use super::{ground::Ground, load::percentile_ms, report, rounded};
use crate::{
    commands::CommandError,
    runner::Pace,
    store::{self, Chunk, Store},
};

/// Sizes of chunks; `None` is as a server paces itself.
const SIZES: [Option<i64>; 5] = [None, Some(25), Some(50), Some(100), Some(200)];

/// Measures each size.
pub(super) async fn run(ground: &Ground, tenants: u64) -> Result<(), CommandError> {
    let failed = |error: &dyn std::fmt::Display| CommandError::failed("cannot make the runs of a batch", error);
    let store = Store::new(ground.pool.clone());
    for fixed in SIZES {
        ground.sweep().await?;
        store::checkpoint(&ground.pool).await.map_err(|error| failed(&error))?;
        store.accept_batch(&store::everybody(tenants, Utc::now())).await.map_err(|error| failed(&error))?;
        let mut pace = Pace::new();
        let (began, mut sizes, mut waits) = (Instant::now(), Vec::new(), Vec::new());
        loop {
            let (chunk, asked) = (Chunk { size: fixed.unwrap_or(pace.size()), live: i64::MAX }, Instant::now());
            let worked = store.work_on_batch(None, chunk, |_, _| None).await.map_err(|error| failed(&error))?;
            let Some(worked) = worked else { break };
            sizes.push(worked.changed.len());
            waits.push(asked.elapsed());
            if !worked.is_done {
                pace.took(asked.elapsed());
            }
        }
        let took = began.elapsed();
        let made: usize = sizes.iter().sum();
        sizes.sort_unstable();
        waits.sort_unstable();
        report(&json!({
            "bench": "batch",
            "chunks": fixed.map_or_else(|| "paced".to_owned(), |size| format!("of {size}")),
            "runs": made,
            "seconds": rounded(took.as_secs_f64()),
            "runs_per_second": per_second(made, took),
            "runs_in_a_chunk_p50": sizes.get(sizes.len() / 2),
            "chunk_ms_p50": rounded(percentile_ms(&waits, 50)),
            "chunk_ms_p99": rounded(percentile_ms(&waits, 99)),
            "chunk_ms_max": rounded(percentile_ms(&waits, 100)),
        }));
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53")]
fn per_second(made: usize, took: Duration) -> f64 {
    (made as f64 / took.as_secs_f64()).round()
}
