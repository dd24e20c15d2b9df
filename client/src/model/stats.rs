//! Counts of runs.

use std::time::Duration;

use category_mirror_proto::v1;
use chrono::{DateTime, Utc};

use super::{Run, wire};

/// Counts of the runs that ended within a period, and of the live runs. Every run is counted exactly once.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct SyncStats {
    /// Start of the period, inclusive: a whole minute (UTC); a whole hour for a period longer than 3 days and for an
    /// organization; a whole day for a period longer than 3 days of one tenant or for a caller limited to tenants.
    pub start_time: Option<DateTime<Utc>>,
    /// End of the period.
    pub end_time: Option<DateTime<Utc>>,
    /// All runs: the sum of the next six counts.
    pub total_runs: i64,
    /// Real runs that succeeded.
    pub succeeded_runs: i64,
    /// Real runs that failed, including those that a guard stopped.
    pub failed_runs: i64,
    /// Real runs that were skipped.
    pub skipped_runs: i64,
    /// Real runs that were cancelled.
    pub cancelled_runs: i64,
    /// Real runs that are queued or running.
    pub live_runs: i64,
    /// Dry runs in any state.
    pub dry_runs: i64,
    /// 100 × succeeded / (succeeded + failed - guard stopped), to one decimal. `None`: the divisor is 0.
    pub success_rate_percent: Option<f64>,
    /// Ended runs, dry runs included, that found differences.
    pub out_of_sync_runs: i64,
    /// The newest real runs that failed, without plans, attempts and written changes.
    pub recent_failures: Vec<Run>,
    /// Number of failed real runs by reason, the most frequent first.
    pub failure_counts: Vec<FailureCount>,
    /// Median duration of the real runs that succeeded or failed, including waits between attempts, accurate to 10 %.
    pub duration_p50: Option<Duration>,
    /// 95th percentile of the same durations, accurate to 10 %.
    pub duration_p95: Option<Duration>,
    /// Ended runs in equal parts of the period, oldest first, without gaps. The parts are minutes (UTC); hours for a
    /// period longer than 2 hours and for an organization; days for a period longer than 3 days.
    pub series: Vec<SyncStatsPoint>,
    /// Tenants that are currently out of sync according to their last observation: this tenant, those of the
    /// organization, or all that the caller may see.
    pub out_of_sync_tenants: i64,
    /// Real runs, part of [`SyncStats::failed_runs`], that a guard stopped before they wrote (reason `GUARD`). Not part
    /// of the success rate.
    pub guard_stopped_runs: i64,
}

/// Number of runs that failed for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct FailureCount {
    /// Reason code, such as `UPSTREAM_UNAVAILABLE`.
    pub reason: String,
    /// Number of runs that failed for this reason.
    pub run_count: i64,
}

/// Counts of the runs that ended within one part of the period.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct SyncStatsPoint {
    /// Start of the part, inclusive. It ends where the next part starts.
    pub start_time: Option<DateTime<Utc>>,
    /// Real runs that succeeded.
    pub succeeded_runs: i64,
    /// Real runs that failed.
    pub failed_runs: i64,
    /// Real runs that were skipped.
    pub skipped_runs: i64,
    /// Real runs that were cancelled.
    pub cancelled_runs: i64,
    /// Dry runs.
    pub dry_runs: i64,
    /// Runs, dry runs included, that found differences.
    pub out_of_sync_runs: i64,
}

impl FailureCount {
    fn from_wire(wire: v1::FailureCount) -> Self {
        Self { reason: wire.reason, run_count: wire.run_count }
    }
}

impl SyncStatsPoint {
    fn from_wire(wire: v1::SyncStatsPoint) -> Self {
        Self {
            start_time: wire::time(wire.start_time),
            succeeded_runs: wire.succeeded_runs,
            failed_runs: wire.failed_runs,
            skipped_runs: wire.skipped_runs,
            cancelled_runs: wire.cancelled_runs,
            dry_runs: wire.dry_runs,
            out_of_sync_runs: wire.out_of_sync_runs,
        }
    }
}

impl SyncStats {
    pub(crate) fn from_wire(wire: v1::SyncStats) -> Self {
        Self {
            start_time: wire::time(wire.start_time),
            end_time: wire::time(wire.end_time),
            total_runs: wire.total_runs,
            succeeded_runs: wire.succeeded_runs,
            failed_runs: wire.failed_runs,
            skipped_runs: wire.skipped_runs,
            cancelled_runs: wire.cancelled_runs,
            live_runs: wire.live_runs,
            dry_runs: wire.dry_runs,
            success_rate_percent: wire.success_rate_percent,
            out_of_sync_runs: wire.out_of_sync_runs,
            recent_failures: wire.recent_failures.into_iter().map(Run::from_wire).collect(),
            failure_counts: wire.failure_counts.into_iter().map(FailureCount::from_wire).collect(),
            duration_p50: wire.duration_p50.and_then(|duration| duration.try_into().ok()),
            duration_p95: wire.duration_p95.and_then(|duration| duration.try_into().ok()),
            series: wire.series.into_iter().map(SyncStatsPoint::from_wire).collect(),
            out_of_sync_tenants: wire.out_of_sync_tenants,
            guard_stopped_runs: wire.guard_stopped_runs,
        }
    }
}
