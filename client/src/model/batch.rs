//! Batches: many runs that one request created.

use category_mirror_proto::v1;
use chrono::{DateTime, Utc};

use super::{FailureCount, Strategy, wire};

open_enum! {
    /// Lifecycle state of a batch.
    BatchState {
        /// The server is creating the batch's runs, in chunks. Runs that exist are executed in the meantime.
        Expanding = 1, "expanding";
        /// All runs have been created, and at least one is live.
        Running = 2, "running";
        /// A caller cancelled the batch, and at least one run is live.
        Cancelling = 3, "cancelling";
        /// Terminal: all runs have ended, in any terminal state.
        Completed = 4, "completed";
        /// Terminal: a caller cancelled the batch, and all runs that had been created have ended.
        Cancelled = 5, "cancelled";
    }
}

/// Many runs that one request created. `tenant_count` is the sum of `pending_count` and the counts that follow it, up
/// to `cancelled_count`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Batch {
    /// Resource name, `batches/{batch}`.
    pub name: String,
    /// Organization whose tenants the batch includes, `organizations/{organization}`. `None`: all tenants.
    pub organization: Option<String>,
    /// The strategy of all runs of the batch.
    pub strategy: Strategy,
    /// Whether the runs only plan and write to neither side.
    pub dry_run: bool,
    /// Lifecycle state.
    pub state: BatchState,
    /// Number of tenants in the batch, fixed when it was accepted.
    pub tenant_count: i64,
    /// Tenants that were left out because they have no location.
    pub without_location_count: i64,
    /// Tenants that were left out because the flag `FF_CATEGORY_MIRRORING` was off for them.
    pub disabled_count: i64,
    /// Tenants whose run has not been created yet.
    pub pending_count: i64,
    /// Runs in state [`RunState::Queued`](crate::RunState::Queued).
    pub queued_count: i64,
    /// Runs in state [`RunState::Running`](crate::RunState::Running).
    pub running_count: i64,
    /// Runs in state [`RunState::Succeeded`](crate::RunState::Succeeded).
    pub succeeded_count: i64,
    /// Runs in state [`RunState::Failed`](crate::RunState::Failed).
    pub failed_count: i64,
    /// Skipped runs, for example because the tenant has left the organization, and tenants that were deleted or lost
    /// their location before their run was created.
    pub skipped_count: i64,
    /// Tenants that already had a live run with the same effect.
    pub joined_count: i64,
    /// Cancelled runs, and tenants whose run was never created because the batch was cancelled.
    pub cancelled_count: i64,
    /// Runs that have ended and found differences.
    pub out_of_sync_count: i64,
    /// Number of changes of each kind: planned changes in a dry run, written changes in a real run.
    pub change_counts: BatchChangeCounts,
    /// Results of the guards that apply to the batch as a whole.
    pub guards: Vec<BatchGuardVerdict>,
    /// Names of the guards that the caller overrode.
    pub overridden_guards: Vec<String>,
    /// The reason that the caller gave for the override.
    pub override_reason: Option<String>,
    /// The caller that created the batch: the subject of its token.
    pub caller: String,
    /// The request id of the request that created the batch.
    pub request_id: Option<String>,
    /// Time at which the batch was accepted.
    pub create_time: Option<DateTime<Utc>>,
    /// Time at which its last run ended. `None`: it has not ended.
    pub end_time: Option<DateTime<Utc>>,
    /// Runs that have ended and that a run guard stopped; in a dry batch, runs that a guard would stop.
    pub stopped_count: i64,
    /// `stopped_count` by guard, the most frequent first. A run that several guards stop counts once for each of them.
    pub stopped_counts: Vec<GuardCount>,
    /// Number of failed runs by reason, the most frequent first.
    pub failure_counts: Vec<FailureCount>,
    /// Maximum number of runs for which run guards are overridden. `None`: run guards are not overridden.
    pub confirmed_override_count: Option<i64>,
    /// Runs that were allowed to write although a run guard would have stopped them.
    pub override_count: i64,
}

/// Number of runs that one run guard stops.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct GuardCount {
    /// Name of the guard, such as `primary_change`.
    pub rule: String,
    /// Number of runs that this guard stops.
    pub run_count: i64,
}

/// Number of changes of each kind, summed over many runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct BatchChangeCounts {
    /// Categories that were added to targets.
    pub created: i64,
    /// Categories whose role changed, and primary categories that were replaced.
    pub updated: i64,
    /// Categories that were removed from targets.
    pub deleted: i64,
    /// Source categories that were left out because they are unmapped.
    pub unmapped: i64,
}

/// A limit on the batch as a whole. Real runs beyond it write nothing and fail with reason `GUARD`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct BatchGuardVerdict {
    /// Name of the guard, such as `batch_tenants`.
    pub rule: String,
    /// Number of ended runs that count toward the limit.
    pub value: i64,
    /// Maximum of `value`. `None`: the guard does not apply to this batch.
    pub limit: Option<i64>,
    /// Whether `value` exceeds `limit`.
    pub exceeded: bool,
}

impl Batch {
    /// Whether the batch will never change again. Also true for a terminal state that only a newer server knows.
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
