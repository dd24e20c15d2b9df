//! Counts of runs.

use std::time::Duration;

use category_mirror_proto::v1;
use chrono::{DateTime, Utc};

use super::{Run, wire};

/// Counts of the runs that ended within a window of time, and of those that are live. Every run is counted, and once.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct SyncStats {
    /// The window's begin, inclusive: a whole minute (UTC); of a window above 3 days, and of an organization, a whole hour; of
    /// such a window of one tenant, or for a caller who may see some tenants only, a whole day.
    pub start_time: Option<DateTime<Utc>>,
    /// The window's end.
    pub end_time: Option<DateTime<Utc>>,
    /// Every run: the sum of the next six counts.
    pub total_runs: i64,
    /// Real runs that succeeded.
    pub succeeded_runs: i64,
    /// Real runs that failed, those that a guard stopped among them.
    pub failed_runs: i64,
    /// Real runs that were skipped.
    pub skipped_runs: i64,
    /// Real runs that were cancelled.
    pub cancelled_runs: i64,
    /// Real runs that are queued or running.
    pub live_runs: i64,
    /// Dry runs, whatever their state.
    pub dry_runs: i64,
    /// 100 × successful / (successful + failed - guard stopped), to one decimal. `None`: nothing to divide.
    pub success_rate_percent: Option<f64>,
    /// Runs that ended, dry ones too, and found differences.
    pub out_of_sync_runs: i64,
    /// The newest real runs that failed, without plans, attempts and written changes.
    pub recent_failures: Vec<Run>,
    /// How often real runs failed for each reason, the most frequent one first.
    pub failure_counts: Vec<FailureCount>,
    /// Half of the real runs that succeeded or failed took at most this long, waits between attempts included; to within a tenth.
    pub duration_p50: Option<Duration>,
    /// The same for 95 of 100.
    pub duration_p95: Option<Duration>,
    /// What ended, cut into equal parts: minutes; hours of a window above 2 hours, and of an organization; days of a window above 3 days
    /// (UTC). Oldest first, without gaps.
    pub series: Vec<SyncStatsPoint>,
    /// Tenants that are out of sync now, as far as runs have looked: of the tenant, the organization, or all that the caller may see.
    pub out_of_sync_tenants: i64,
    /// Real runs that a guard stopped before they wrote (reason `GUARD`), of the [`SyncStats::failed_runs`]. Not in the success rate.
    pub guard_stopped_runs: i64,
}

/// How often real runs failed for a reason.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct FailureCount {
    /// The reason, such as `UPSTREAM_UNAVAILABLE`.
    pub reason: String,
    /// How often.
    pub run_count: i64,
}

/// Counts of the runs that ended within a part of the window.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct SyncStatsPoint {
    /// The part's begin, inclusive. It ends where the next one begins.
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
    /// Runs, dry ones too, that found differences.
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
