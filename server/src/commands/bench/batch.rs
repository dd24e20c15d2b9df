//! Making the runs of a batch, in chunks of several sizes.

use std::time::{Duration, Instant};

use chrono::Utc;
use serde_json::json;

use super::{ground::Ground, load::percentile_ms, report, rounded};
use crate::{
    commands::CommandError,
    runner::CHUNK,
    store::{self, Chunk, Store},
};

/// Measures chunks as a server makes them, smaller and larger ones.
pub(super) async fn run(ground: &Ground, tenants: u64) -> Result<(), CommandError> {
    let failed = |error: &dyn std::fmt::Display| CommandError::failed("cannot make the runs of a batch", error);
    let store = Store::new(ground.pool.clone());
    // The first pass is not told: it pays for statements that are prepared, and pages that are read, for the first time.
    for (pass, size) in [CHUNK.size, CHUNK.size, CHUNK.size / 4, CHUNK.size * 4].into_iter().enumerate() {
        ground.sweep().await?;
        store::checkpoint(&ground.pool).await.map_err(|error| failed(&error))?;
        store.accept_batch(&store::everybody(tenants, Utc::now())).await.map_err(|error| failed(&error))?;
        // Nothing is carried out meanwhile, so nothing is to be waited for.
        let chunk = Chunk { size, live: i64::MAX };
        let (began, mut made, mut waits) = (Instant::now(), 0, Vec::new());
        loop {
            let asked = Instant::now();
            let worked = store.work_on_batch(None, chunk, |_, _| None).await.map_err(|error| failed(&error))?;
            let Some(worked) = worked else { break };
            waits.push(asked.elapsed());
            made += worked.changed.len();
        }
        let took = began.elapsed();
        if pass == 0 {
            continue;
        }
        waits.sort_unstable();
        report(&json!({
            "bench": "batch",
            "runs_in_a_chunk": size,
            "runs": made,
            "seconds": rounded(took.as_secs_f64()),
            "runs_per_second": per_second(made, took),
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
