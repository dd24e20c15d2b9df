//! Queued runs carried out a second, where there is nothing to change and Google answers at once.

use std::time::{Duration, Instant};

use category_mirror::{
    app::{AccountClients, FlagCache},
    commands::CommandError,
    credential_cipher::CredentialCipher,
    domain::ProcessFlags,
    runner::Runner,
    store::{self, Store},
    wake::WakeUpBus,
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{
    environment::{BenchEnvironment, settings},
    in_process::in_process,
    pgbench,
    report::{report, rounded},
};

/// Between looks whether the queue is empty.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Measures with each number of places.
pub(crate) async fn run(environment: &BenchEnvironment, concurrency: &[usize], runs: u64) -> Result<(), CommandError> {
    for &concurrency in concurrency {
        let before = by_pgbench(environment, runs).await?;
        let drained = drained(environment, concurrency, runs).await?;
        let after = by_pgbench(environment, runs).await?;
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

async fn drained(environment: &BenchEnvironment, concurrency: usize, runs: u64) -> Result<f64, CommandError> {
    let failed = |error: &dyn std::fmt::Display| CommandError::failed("cannot drain", error);
    environment.clear_runs().await?;
    store::queue(&environment.pool, runs, false).await.map_err(|error| failed(&error))?;
    let stop = CancellationToken::new();
    let wake = WakeUpBus::start(environment.pool.clone(), stop.clone());
    let google = in_process(Duration::ZERO, |_| {})?;
    let store = Store::new(environment.pool.clone());
    let flags = FlagCache::new(store.clone(), ProcessFlags::on());
    let accounts = AccountClients::new(store.clone(), google, CredentialCipher::default());
    let runner = Runner::new(store.clone(), accounts, wake, flags, settings(concurrency));
    let began = Instant::now();
    let task = tokio::spawn(runner.run(stop.clone()));
    while store::is_busy(&environment.pool).await.map_err(|error| failed(&error))? {
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    let elapsed = began.elapsed();
    stop.cancel();
    task.await.map_err(|error| failed(&error))?;
    let succeeded = store::succeeded(&environment.pool).await.map_err(|error| failed(&error))?;
    // A run that fails would be a quick one: no figure may rest on it.
    if succeeded != runs {
        return Err(failed(&format!("{succeeded} of {runs} runs succeeded")));
    }
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53")]
    let runs = runs as f64;
    Ok(runs / elapsed.as_secs_f64())
}

async fn by_pgbench(environment: &BenchEnvironment, runs: u64) -> Result<f64, CommandError> {
    environment.clear_runs().await?;
    let failed = |error| CommandError::failed("cannot fill the queue", error);
    store::queue(&environment.pool, runs, false).await.map_err(failed)?;
    let transactions = runs / pgbench::DRAIN_BATCH / pgbench::DRAIN_CLIENTS;
    let failed = |error| CommandError::failed("cannot switch the counting", error);
    store::set_counting(&environment.pool, false).await.map_err(failed)?;
    let per_second = environment.pgbench.run_times(pgbench::DRAIN, pgbench::DRAIN_CLIENTS, transactions).await?;
    store::set_counting(&environment.pool, true).await.map_err(failed)?;
    #[expect(clippy::cast_precision_loss, reason = "100")]
    let batch = pgbench::DRAIN_BATCH as f64;
    Ok(per_second * batch)
}
