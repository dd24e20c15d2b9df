//! Statistics of runs.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::{FailureReason, Run};

/// Counts of the runs that ended within a window, and of those that are live.
#[derive(Debug, Clone, PartialEq)]
pub struct SyncStats {
    /// The start of the window, inclusive: a whole minute; of a window above 3 days, and of an organization, a whole
    /// hour; of tenants' window above 3 days, a whole day (UTC).
    pub start_at: DateTime<Utc>,
    /// The end of the window.
    pub end_at: DateTime<Utc>,
    /// Number of all runs.
    pub total: i64,
    /// The real runs that are live.
    pub live: i64,
    /// The dry runs that are live.
    pub live_dry_runs: i64,
    /// The runs that ended within the window.
    pub ended: EndedRuns,
    /// Real runs that failed, by reason, the most frequent first.
    pub failures: Vec<(String, i64)>,
    /// The duration within which half of the real runs that succeeded or failed were done, to within a tenth.
    pub duration_p50: Option<Duration>,
    /// The same for 95 of 100.
    pub duration_p95: Option<Duration>,
    /// The newest real runs that failed, without plans and written changes.
    pub recent_failures: Vec<Run>,
    /// The same by minutes, hours or days, the oldest first, without gaps.
    pub series: Vec<(DateTime<Utc>, EndedRuns)>,
    /// The tenants that are out of sync now, as runs have last observed them.
    pub out_of_sync_tenants: i64,
}

impl SyncStats {
    /// The real runs that a guard stopped, which are among those that failed: counted by their reason.
    #[must_use]
    pub fn guard_stopped(&self) -> i64 {
        let of_guards = |(reason, runs): &(String, i64)| (reason == FailureReason::Guard.as_str()).then_some(*runs);
        self.failures.iter().find_map(of_guards).unwrap_or_default()
    }
}

/// Counts of runs that ended.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct EndedRuns {
    /// Real runs that succeeded.
    pub succeeded: i64,
    /// Real runs that failed.
    pub failed: i64,
    /// Real runs that were skipped.
    pub skipped: i64,
    /// Real runs that were cancelled.
    pub cancelled: i64,
    /// Dry runs.
    pub dry_runs: i64,
    /// Runs, dry ones too, that found differences.
    pub out_of_sync: i64,
}

impl EndedRuns {
    /// Adds the counts of other runs.
    pub fn add(&mut self, other: Self) {
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.cancelled += other.cancelled;
        self.dry_runs += other.dry_runs;
        self.out_of_sync += other.out_of_sync;
    }
}
