//! Counts of runs.

use category_mirror_proto::v1;
use chrono::{DateTime, Utc};

use super::{Run, wire};

/// Counts of runs over a window of time.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct SyncStats {
    /// The window's begin, inclusive.
    pub start_time: Option<DateTime<Utc>>,
    /// The window's end.
    pub end_time: Option<DateTime<Utc>>,
    /// Every run that was accepted in the window: the sum of the next six.
    pub total_runs: i64,
    /// Real runs that succeeded.
    pub successful_runs: i64,
    /// Real runs that failed.
    pub failed_runs: i64,
    /// Real runs that were skipped.
    pub skipped_runs: i64,
    /// Real runs that were cancelled.
    pub cancelled_runs: i64,
    /// Real runs that are queued or running.
    pub live_runs: i64,
    /// Dry runs, whatever their state.
    pub dry_runs: i64,
    /// 100 × successful / (successful + failed), to one decimal. `None`: nothing to divide.
    pub success_rate_percent: Option<f64>,
    /// Runs, dry ones too, that found differences.
    pub out_of_sync_runs: i64,
    /// The newest real runs that failed, without plans and written changes.
    pub recent_failures: Vec<Run>,
}

impl SyncStats {
    pub(crate) fn from_wire(wire: v1::SyncStats) -> Self {
        Self {
            start_time: wire::time(wire.start_time),
            end_time: wire::time(wire.end_time),
            total_runs: wire.total_runs,
            successful_runs: wire.successful_runs,
            failed_runs: wire.failed_runs,
            skipped_runs: wire.skipped_runs,
            cancelled_runs: wire.cancelled_runs,
            live_runs: wire.live_runs,
            dry_runs: wire.dry_runs,
            success_rate_percent: wire.success_rate_percent,
            out_of_sync_runs: wire.out_of_sync_runs,
            recent_failures: wire.recent_failures.into_iter().map(Run::from_wire).collect(),
        }
    }
}
