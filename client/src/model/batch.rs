//! Batches: many runs made by one request.

use category_mirror_proto::v1;
use chrono::{DateTime, Utc};

use super::{FailureCount, Strategy, wire};

open_enum! {
    /// Where a batch is in its life.
    BatchState {
        /// Its runs are being made, some at a time; those that are made are carried out meanwhile.
        Expanding = 1, "expanding";
        /// All of its runs are made, and some are live.
        Running = 2, "running";
        /// Somebody cancelled it, and some of its runs are live.
        Cancelling = 3, "cancelling";
        /// Terminal: every run is over, whatever became of it.
        Completed = 4, "completed";
        /// Terminal: somebody cancelled it, and every run that was made is over.
        Cancelled = 5, "cancelled";
    }
}

/// Many runs made by one request. `tenant_count` is the sum of `pending_count` and the counts that follow it, up to `cancelled_count`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Batch {
    /// `batches/{batch}`.
    pub name: String,
    /// The organization whose tenants it touches, `organizations/{organization}`. `None`: every tenant.
    pub organization: Option<String>,
    /// Which side wins.
    pub strategy: Strategy,
    /// Whether its runs only plan.
    pub dry_run: bool,
    /// Where it is in its life.
    pub state: BatchState,
    /// How many tenants it touches: fixed when it was accepted.
    pub tenant_count: i64,
    /// Tenants that were left out because they have no location.
    pub without_location_count: i64,
    /// Tenants that were left out because the feature flag was off for them.
    pub disabled_count: i64,
    /// Tenants whose run is not made yet.
    pub pending_count: i64,
    /// Runs that are queued.
    pub queued_count: i64,
    /// Runs that an attempt is under way of.
    pub running_count: i64,
    /// Runs that succeeded.
    pub succeeded_count: i64,
    /// Runs that failed.
    pub failed_count: i64,
    /// Runs that were skipped, also because the tenant has left the organization, and tenants that were gone before their run was made.
    pub skipped_count: i64,
    /// Tenants that had a live run already that does the same.
    pub joined_count: i64,
    /// Runs that were cancelled, and those that were not made because the batch was.
    pub cancelled_count: i64,
    /// Runs that are over and found differences.
    pub out_of_sync_count: i64,
    /// How many changes of each kind: planned ones in a dry run, else what was written.
    pub change_counts: BatchChangeCounts,
    /// The guards of the batch as a whole.
    pub guards: Vec<BatchGuardVerdict>,
    /// Guards that its caller overrode.
    pub overridden_guards: Vec<String>,
    /// Why its caller overrode them.
    pub override_reason: Option<String>,
    /// Who asked: the subject of the caller's token.
    pub caller: String,
    /// The request id of the request that made it.
    pub request_id: Option<String>,
    /// When it was accepted.
    pub create_time: Option<DateTime<Utc>>,
    /// When its last run was over.
    pub end_time: Option<DateTime<Utc>>,
    /// Runs that are over and that guards of runs stopped; of a dry batch: that they would stop.
    pub stopped_count: i64,
    /// The same by rule, the most frequent one first. A run that several rules stop counts for each of them.
    pub stopped_counts: Vec<GuardCount>,
    /// How many runs failed for each reason, the most frequent one first.
    pub failure_counts: Vec<FailureCount>,
    /// For how many runs at most the guards of runs are overridden. `None`: they are not.
    pub confirmed_override_count: Option<i64>,
    /// How many runs were let through to a write although a guard of runs would have stopped them.
    pub override_count: i64,
}

/// How many runs a guard of runs stops.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct GuardCount {
    /// Its name, such as `primary_change`.
    pub rule: String,
    /// How many.
    pub run_count: i64,
}

/// How many changes of each kind, over many runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct BatchChangeCounts {
    /// Categories that targets gained.
    pub created: i64,
    /// Categories that changed their role, or primary ones that were replaced.
    pub updated: i64,
    /// Categories that targets lost.
    pub deleted: i64,
    /// Categories of sources that were left out because they are unmapped.
    pub unmapped: i64,
}

/// A bound on what a batch may do as a whole. Real runs beyond it write nothing and fail with reason `GUARD`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct BatchGuardVerdict {
    /// Its name, such as `batch_tenants`.
    pub rule: String,
    /// How many of the runs that are over are of the kind that it bounds.
    pub value: i64,
    /// How many may be. `None`: it bounds nothing here.
    pub limit: Option<i64>,
    /// Whether there are more than may be.
    pub exceeded: bool,
}

impl Batch {
    /// Whether the batch will never change again. True also for a terminal state that only a newer server knows.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.end_time.is_some()
    }

    pub(crate) fn from_wire(wire: v1::Batch) -> Self {
        let changes = wire.change_counts.unwrap_or_default();
        let guard = |guard: v1::BatchGuardVerdict| BatchGuardVerdict {
            rule: guard.rule,
            value: guard.value,
            limit: guard.limit,
            exceeded: guard.exceeded,
        };
        Self {
            name: wire.name,
            organization: wire::text(wire.organization),
            strategy: Strategy::from_wire(wire.strategy),
            dry_run: wire.dry_run,
            state: BatchState::from_wire(wire.state),
            tenant_count: wire.tenant_count,
            without_location_count: wire.without_location_count,
            disabled_count: wire.disabled_count,
            pending_count: wire.pending_count,
            queued_count: wire.queued_count,
            running_count: wire.running_count,
            succeeded_count: wire.succeeded_count,
            failed_count: wire.failed_count,
            skipped_count: wire.skipped_count,
            joined_count: wire.joined_count,
            cancelled_count: wire.cancelled_count,
            out_of_sync_count: wire.out_of_sync_count,
            change_counts: BatchChangeCounts {
                created: changes.created,
                updated: changes.updated,
                deleted: changes.deleted,
                unmapped: changes.unmapped,
            },
            guards: wire.guards.into_iter().map(guard).collect(),
            overridden_guards: wire.overridden_guards,
            override_reason: wire::text(wire.override_reason),
            caller: wire.caller,
            request_id: wire::text(wire.request_id),
            create_time: wire::time(wire.create_time),
            end_time: wire::time(wire.end_time),
            stopped_count: wire.stopped_count,
            stopped_counts: wire
                .stopped_counts
                .into_iter()
                .map(|count| GuardCount { rule: count.rule, run_count: count.run_count })
                .collect(),
            failure_counts: wire
                .failure_counts
                .into_iter()
                .map(|count| FailureCount { reason: count.reason, run_count: count.run_count })
                .collect(),
            confirmed_override_count: wire.confirmed_override_count,
            override_count: wire.override_count,
        }
    }
}
