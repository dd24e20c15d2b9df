//! Making the runs of a batch, in chunks of several sizes.

use std::time::{Duration, Instant};

use category_mirror::{
    commands::CommandError,
    error::Error,
    runner::CHUNK_LIMITS,
    store::{self, ChunkLimits, Store},
};
use serde_json::json;

use crate::{
    environment::BenchEnvironment,
    load::percentile_ms,
    report::{report, rounded},
};

/// Measures chunks as a server makes them, smaller and larger ones.
pub(crate) async fn run(environment: &BenchEnvironment, tenants: u64) -> Result<(), CommandError> {
    let store = Store::new(environment.pool.clone());
    let all = async |size| {
        make_all(environment, &store, tenants, size)
            .await
            .map_err(|error| CommandError::failed("cannot make the runs of a batch", error))
    };
    // Not told: it pays for statements that are prepared, and pages that are read, for the first time.
    all(CHUNK_LIMITS.size).await?;
    for size in [CHUNK_LIMITS.size, CHUNK_LIMITS.size / 4, CHUNK_LIMITS.size * 4] {
        let made = all(size).await?;
        report(&json!({
            "bench": "batch",
            "runs_in_a_chunk": size,
            "runs": made.runs,
            "seconds": rounded(made.took.as_secs_f64()),
            "runs_per_second": per_second(made.runs, made.took),
            "chunk_ms_p50": rounded(percentile_ms(&made.waits, 50)),
            "chunk_ms_p99": rounded(percentile_ms(&made.waits, 99)),
            "chunk_ms_max": rounded(percentile_ms(&made.waits, 100)),
        }))?;
    }
    Ok(())
}

struct Made {
    runs: usize,
    took: Duration,
    /// For each chunk, sorted.
    waits: Vec<Duration>,
}

/// Makes every run of a batch.
async fn make_all(environment: &BenchEnvironment, store: &Store, tenants: u64, size: i64) -> Result<Made, Error> {
    store::clear_runs(&environment.pool).await?;
    store::checkpoint(&environment.pool).await?;
    store.accept_batch(None, &store::everybody(tenants)).await?;
    // Nothing is carried out meanwhile, so nothing is to be waited for.
    let chunk = ChunkLimits { size, live: i64::MAX };
    let (began, mut runs, mut waits) = (Instant::now(), 0, Vec::new());
    loop {
        let asked = Instant::now();
        let Some(worked) = store.process_batch_chunk(None, chunk, |_, _| None).await? else { break };
        waits.push(asked.elapsed());
        runs += worked.changed.len();
    }
    let took = began.elapsed();
    waits.sort_unstable();
    Ok(Made { runs, took, waits })
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53")]
fn per_second(made: usize, took: Duration) -> f64 {
    (made as f64 / took.as_secs_f64()).round()
}
