//! Counts of runs, and failures with examples.

use category_mirror_proto::v1::{self, run::State};

use super::{mirrorctl, text};
use crate::fake::{Fake, run};

#[tokio::test]
async fn what_a_guard_stopped_is_no_failure_in_the_statistics() {
    let fake = Fake::start().await;
    let count = |reason: &str, run_count| v1::FailureCount { reason: reason.into(), run_count };
    let stats = v1::SyncStats {
        total_runs: 400,
        succeeded_runs: 350,
        failed_runs: 50,
        guard_stopped_runs: 44,
        failure_counts: vec![count("GUARD", 44), count("EMPTY_SOURCE", 6)],
        success_rate_percent: Some(98.3),
        ..Default::default()
    };
    fake.methods.get_sync_stats.will(Ok(v1::GetSyncStatsResponse { stats: Some(stats) }));
    let output = mirrorctl(&fake, &["run", "stats"]).await;
    let shown = text(&output.stdout);
    for line in ["failed        6", "guard stopped 44", "success rate  98.3 %", "EMPTY_SOURCE     6  -         -"] {
        assert!(shown.lines().any(|shown| shown == line), "{line}: {shown}");
    }
    assert!(!shown.contains("GUARD"), "{shown}");
}

fn failed(id: &str, reason: &str, message: &str) -> v1::Run {
    let error = v1::RunError { reason: reason.into(), message: message.into(), ..Default::default() };
    v1::Run { reason: reason.into(), error: Some(error), ..run(id, 3, State::Failed) }
}

#[tokio::test]
async fn each_reason_of_a_failure_comes_with_an_example() {
    let fake = Fake::start().await;
    let count = |reason: &str, run_count| v1::FailureCount { reason: reason.into(), run_count };
    let stats = v1::SyncStats {
        failed_runs: 9,
        failure_counts: vec![count("EMPTY_SOURCE", 6), count("NO_LOCATION", 3)],
        recent_failures: vec![failed("1", "EMPTY_SOURCE", "the platform has no categories")],
        ..Default::default()
    };
    fake.methods.get_sync_stats.will(Ok(v1::GetSyncStatsResponse { stats: Some(stats) }));
    let runs = vec![failed("2", "NO_LOCATION", "the tenant has no location")];
    fake.methods.list_sync_logs.will(Ok(v1::ListSyncLogsResponse { runs, ..Default::default() }));
    let output = mirrorctl(&fake, &["run", "stats", "--tenant", "a"]).await;
    let shown = text(&output.stdout);
    for line in [
        "FAILED FOR    RUNS  LAST RUN  ITS ERROR",
        "EMPTY_SOURCE     6  1         the platform has no categories",
        "NO_LOCATION      3  2         the tenant has no location",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}: {shown}");
    }
    let asked = fake.methods.list_sync_logs.asked();
    let asked = &asked[0].message;
    assert_eq!((asked.tenant.as_str(), asked.reason.as_str(), asked.page_size), ("tenants/a", "NO_LOCATION", 1));
}
