//! Memory of a server, with few and with many runs queued.

use std::time::Duration;

use category_mirror::{commands::CommandError, store};
use category_mirror_client::Strategy;
use serde_json::json;
use tokio::time::sleep;

use crate::{environment::BenchEnvironment, in_process::in_process, report::report};

const CONCURRENCY: usize = 10;
/// How long Google takes: the queue is to stay what it is.
const GBP_DELAY: Duration = Duration::from_millis(50);

/// Measures with `few` and with `many` runs queued, each after a while of work and some calls.
pub(crate) async fn run(
    environment: &BenchEnvironment,
    few: u64,
    many: u64,
    window: Duration,
) -> Result<(), CommandError> {
    let mut measured = Vec::new();
    // Once to warm up: what is allocated once for all is no part of the difference.
    for queued in [few, few, many] {
        environment.clear_runs().await?;
        let failed = |error: &dyn std::fmt::Display| CommandError::failed("memory", error);
        store::queue(&environment.pool, queued, true).await.map_err(|error| failed(&error))?;
        let service = environment.serve(CONCURRENCY, in_process(GBP_DELAY, |_| {})?).await?;
        sleep(window).await;
        let client = &service.clients[0];
        client.get_sync_stats().send().await.map_err(|error| failed(&error))?;
        let mut runs = client.list_sync_logs().send();
        for _ in 0..100 {
            runs.next().await.transpose().map_err(|error| failed(&error))?;
        }
        // It is there, or the last of them.
        let _ = client.mirror(format!("bench-{queued}"), Strategy::PlatformToGbp).send().await;
        measured.push(resident_kb("self").await.map_err(|error| failed(&error))?);
        service.stop().await;
    }
    let [_, few_kb, many_kb] = measured[..] else { return Ok(()) };
    report(&json!({
        "bench": "memory",
        "queued": [few, many],
        "resident_kb": [few_kb, many_kb],
        "difference_kb": many_kb - few_kb,
    }))?;
    Ok(())
}

/// Resident memory of a process, by its id or `self`, kB.
pub(crate) async fn resident_kb(process: &str) -> std::io::Result<i64> {
    let status = tokio::fs::read_to_string(format!("/proc/{process}/status")).await?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse().ok());
    number.ok_or_else(|| std::io::Error::other("no VmRSS in /proc"))
}
