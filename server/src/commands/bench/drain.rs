//! Queued runs carried out a second, where there is nothing to change and Google answers at once.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{
    ground::{Ground, settings},
    pgbench, report, rounded,
};
use crate::{
    app::{Accounts, Flags},
    commands::CommandError,
    domain::ProcessFlags,
    gbp::{self, InProcess},
    runner::Runner,
    store::{self, Store},
    vault::Vault,
    wake::Wake,
};

/// Between looks whether the queue is empty.
const LOOK: Duration = Duration::from_millis(20);

/// Measures with each number of places.
pub(super) async fn run(ground: &Ground, concurrency: &[usize], runs: u64) -> Result<(), CommandError> {
    for &concurrency in concurrency {
        let before = by_pgbench(ground, runs).await?;
        let drained = drained(ground, concurrency, runs).await?;
        let after = by_pgbench(ground, runs).await?;
        report(&json!({
            "bench": "drain",
            "concurrency": concurrency,
            "runs": runs,
            "drained_per_second": drained.round(),
            "pgbench_per_second": [before.round(), after.round()],
            "ratio_drained_to_pgbench": rounded(drained / f64::midpoint(before, after)),
        }))?;
    }
    Ok(())
}

async fn drained(ground: &Ground, concurrency: usize, runs: u64) -> Result<f64, CommandError> {
    let failed = |error: &dyn std::fmt::Display| CommandError::failed("cannot drain", error);
    ground.sweep().await?;
    store::queue(&ground.pool, runs, false).await.map_err(|error| failed(&error))?;
    let stop = CancellationToken::new();
    let wake = Wake::start(ground.pool.clone(), stop.clone());
    let google = gbp::Client::in_process(InProcess::new(Duration::ZERO, |_| {}));
    let store = Store::new(ground.pool.clone());
    let flags = Flags::new(store.clone(), ProcessFlags::on());
    let accounts = Accounts::new(store.clone(), google, Vault::default());
    let runner = Runner::new(store.clone(), accounts, wake, flags, settings(concurrency));
    let began = Instant::now();
    let task = tokio::spawn(runner.run(stop.clone()));
    while store::is_busy(&ground.pool).await.map_err(|error| failed(&error))? {
        tokio::time::sleep(LOOK).await;
    }
    let elapsed = began.elapsed();
    stop.cancel();
    task.await.map_err(|error| failed(&error))?;
    let succeeded = store::succeeded(&ground.pool).await.map_err(|error| failed(&error))?;
    // A run that fails would be a quick one: no figure may rest on it.
    if succeeded != runs {
        return Err(failed(&format!("{succeeded} of {runs} runs succeeded")));
    }
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53")]
    let runs = runs as f64;
    Ok(runs / elapsed.as_secs_f64())
}

async fn by_pgbench(ground: &Ground, runs: u64) -> Result<f64, CommandError> {
    ground.sweep().await?;
    let failed = |error| CommandError::failed("cannot fill the queue", error);
    store::queue(&ground.pool, runs, false).await.map_err(failed)?;
    let transactions = runs / pgbench::DRAIN_BATCH / pgbench::DRAIN_CLIENTS;
    let per_second = ground.pgbench.run_times(pgbench::DRAIN, pgbench::DRAIN_CLIENTS, transactions).await?;
    #[expect(clippy::cast_precision_loss, reason = "100")]
    let batch = pgbench::DRAIN_BATCH as f64;
    Ok(per_second * batch)
}
