//! Runs: one execution of one strategy for one tenant.

use std::{collections::BTreeMap, str::FromStr};

use category_mirror_proto::v1;
use chrono::{DateTime, Utc};

use super::{CategorySet, Change, ChangeCounts, GbpView, Plan, Strategy, SyncDecision, wire};
use crate::Error;

open_enum! {
    /// Lifecycle state of a run.
    RunState {
        /// Accepted and durable; waits for a worker slot, for its first or its next attempt.
        Queued = 1, "queued";
        /// An attempt is running.
        Running = 2, "running";
        /// Terminal: the run did what was requested. It may have had nothing to change.
        Succeeded = 3, "succeeded";
        /// Terminal: the run ended with an error.
        Failed = 4, "failed";
        /// Terminal: the run was deliberately not executed.
        Skipped = 5, "skipped";
        /// Terminal: a caller cancelled the run before it wrote.
        Cancelled = 6, "cancelled";
    }
}

impl RunState {
    /// Whether the run will never change again, for the states that this client knows; see [`Run::is_terminal`].
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Skipped | Self::Cancelled)
    }

    pub(crate) fn to_wire(self) -> i32 {
        match self {
            Self::Queued => 1,
            Self::Running => 2,
            Self::Succeeded => 3,
            Self::Failed => 4,
            Self::Skipped => 5,
            Self::Cancelled => 6,
            Self::Unknown(number) => number,
        }
    }
}

impl FromStr for RunState {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let all = [Self::Queued, Self::Running, Self::Succeeded, Self::Failed, Self::Skipped, Self::Cancelled];
        let known = || all.map(|state| state.to_string()).join(", ");
        let state = all.into_iter().find(|state| state.to_string() == text);
        state.ok_or_else(|| Error::setting(format!("state {text:?}: must be one of {}", known())))
    }
}

open_enum! {
    /// Outcome of an attempt.
    AttemptState {
        /// The attempt is running.
        Running = 1, "running";
        /// The attempt did what was requested.
        Succeeded = 2, "succeeded";
        /// The attempt ended with an error.
        Failed = 3, "failed";
        /// The attempt found that the run must not be executed.
        Skipped = 4, "skipped";
        /// The attempt found that the run was cancelled.
        Cancelled = 5, "cancelled";
        /// The server shut down, or had no free worker slot. Uncounted.
        Released = 6, "released";
        /// The lease expired, because the server stopped renewing it. Uncounted.
        LeaseExpired = 7, "lease_expired";
    }
}

/// One execution of a run, from a server's claim to its outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Attempt {
    /// Number of the attempt, from 1, including uncounted attempts.
    pub claim_number: i32,
    /// Outcome of the attempt.
    pub state: AttemptState,
    /// Time at which the attempt started.
    pub start_time: Option<DateTime<Utc>>,
    /// Time at which the attempt ended, or was found to have ended. `None` while it is running.
    pub end_time: Option<DateTime<Utc>>,
    /// The error that ended the attempt.
    pub error: Option<RunError>,
}

impl Attempt {
    fn from_wire(wire: v1::Attempt) -> Self {
        Self {
            claim_number: wire.claim_number,
            state: AttemptState::from_wire(wire.state),
            start_time: wire::time(wire.start_time),
            end_time: wire::time(wire.end_time),
            error: wire.error.map(RunError::from_wire),
        }
    }
}

/// A write to Google whose outcome is unknown. The location may have its categories from before the write, the
/// requested ones, or others that another actor wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct UnresolvedWrite {
    /// The location that the write is for, `locations/{location}`. `None`: not recorded.
    pub gbp_location: Option<String>,
    /// The location's categories before the write. `None`: it had none.
    pub before: Option<CategorySet>,
    /// The requested categories.
    pub after: Option<CategorySet>,
}

/// One execution of one strategy for one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Run {
    /// Resource name, `tenants/{tenant}/runs/{run}`.
    pub name: String,
    /// The tenant, `tenants/{tenant}`.
    pub tenant: String,
    /// The tenant's organization when the run was accepted, `organizations/{organization}`.
    pub organization: Option<String>,
    /// The batch that the run belongs to, `batches/{batch}`.
    pub batch: Option<String>,
    /// Which side wins.
    pub strategy: Strategy,
    /// Whether the run only plans and writes to neither side.
    pub dry_run: bool,
    /// Lifecycle state.
    pub state: RunState,
    /// Revision number: starts at 1 and increases with every change of the run.
    pub revision: i64,
    /// Number of the current or latest attempt, from 1. 0: no attempt yet. Uncounted attempts are not included.
    pub attempt: i32,
    /// Maximum number of counted attempts.
    pub max_attempts: i32,
    /// Number of attempts that do not count toward `max_attempts`: they were released, their lease expired, or Google
    /// was failing for all locations.
    pub uncounted_attempts: i32,
    /// Everything that the run will change, or would change. `None` before the first plan and in lists.
    pub plan: Option<Plan>,
    /// The changes that the run wrote, over all attempts. Empty in lists.
    pub written_changes: Vec<Change>,
    /// Number of changes of each kind: planned changes of a dry run, written changes of any other run.
    pub counts: ChangeCounts,
    /// Reason code, such as `UNMAPPED_PRIMARY`: why the run failed or was skipped, or why its last attempt failed.
    pub reason: Option<String>,
    /// Details of `reason`: the error, or why the run was skipped, such as the flag that is off (metadata `flag`).
    pub error: Option<RunError>,
    /// The caller that requested the run: the subject of its token.
    pub caller: String,
    /// The request id of the request that created the run.
    pub request_id: Option<String>,
    /// Whether a caller has requested cancellation and the run has not stopped yet.
    pub cancel_requested: bool,
    /// Time at which the run was accepted.
    pub create_time: Option<DateTime<Utc>>,
    /// Time at which its first attempt started.
    pub start_time: Option<DateTime<Utc>>,
    /// Time at which it reached a terminal state.
    pub end_time: Option<DateTime<Utc>>,
    /// Time at which a queued run returns to the ready queue for its next attempt. `None`: it is there already, or not
    /// queued.
    pub next_attempt_time: Option<DateTime<Utc>>,
    /// All attempts in order, including uncounted ones; if there are very many, only the newest. Empty in lists.
    pub attempts: Vec<Attempt>,
    /// The dry run whose plan this run applies, `tenants/{tenant}/runs/{run}`.
    pub applied_plan: Option<String>,
    /// Names of the guards that were overridden for this run, such as `primary_change`.
    pub overridden_guards: Vec<String>,
    /// The reason that the caller gave for the override.
    pub override_reason: Option<String>,
    /// Which of Google's records is the source. `None`: the source is the platform.
    pub view: Option<GbpView>,
    /// The run that this run reverts, `tenants/{tenant}/runs/{run}`.
    pub revert_of: Option<String>,
    /// A write to Google whose outcome the server does not know: not yet, while the run is live; permanently, once it
    /// is terminal. `None` in lists.
    pub unresolved_write: Option<UnresolvedWrite>,
    /// The decision about the tenant that this run executes.
    pub decision: Option<SyncDecision>,
    /// Checks that apply to other real runs but not to this one, because a person requested it by a decision or a
    /// revert: `cooldown`, `conflict`.
    pub overridden_checks: Vec<String>,
}

/// Why a run failed or was skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct RunError {
    /// Reason code, such as `UPSTREAM_UNAVAILABLE`.
    pub reason: String,
    /// Description of what happened, with the values.
    pub message: String,
    /// Number of the attempt in which it happened.
    pub attempt: i32,
    /// The values of the message, for programs.
    pub metadata: BTreeMap<String, String>,
    /// The `details` of Google's own error, as JSON.
    pub upstream_details_json: Option<String>,
}

/// Response to a request that starts a run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct AcceptedRun {
    /// The state of the run at the time of the response.
    pub run: Run,
    /// Whether the run was already live and the request joined it.
    pub joined: bool,
}

impl Run {
    /// Whether the run will never change again. Also true for a terminal state that only a newer server knows.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.state.is_terminal() || self.end_time.is_some()
    }

    pub(crate) fn from_wire(wire: v1::Run) -> Self {
        Self {
            name: wire.name,
            tenant: wire.tenant,
            organization: wire::text(wire.organization),
            batch: wire::text(wire.batch),
            strategy: Strategy::from_wire(wire.strategy),
            dry_run: wire.dry_run,
            state: RunState::from_wire(wire.state),
            revision: wire.revision,
            attempt: wire.attempt,
            max_attempts: wire.max_attempts,
            uncounted_attempts: wire.uncounted_attempts,
            plan: wire.plan.map(Plan::from_wire),
            written_changes: wire.written_changes.into_iter().map(Change::from_wire).collect(),
            counts: wire.counts.map(ChangeCounts::from_wire).unwrap_or_default(),
            reason: wire::text(wire.reason),
            error: wire.error.map(RunError::from_wire),
            caller: wire.caller,
            request_id: wire::text(wire.request_id),
            cancel_requested: wire.cancel_requested,
            create_time: wire::time(wire.create_time),
            start_time: wire::time(wire.start_time),
            end_time: wire::time(wire.end_time),
            next_attempt_time: wire::time(wire.next_attempt_time),
            attempts: wire.attempts.into_iter().map(Attempt::from_wire).collect(),
            applied_plan: wire::text(wire.applied_plan),
            overridden_guards: wire.overridden_guards,
            override_reason: wire::text(wire.override_reason),
            view: Some(wire.view).filter(|view| *view != 0).map(GbpView::from_wire),
            revert_of: wire::text(wire.revert_of),
            unresolved_write: wire.unresolved_write.map(UnresolvedWrite::from_wire),
            decision: Some(wire.decision).filter(|decision| *decision != 0).map(SyncDecision::from_wire),
            overridden_checks: wire.overridden_checks,
        }
    }
}

impl AcceptedRun {
    pub(crate) fn from_wire(wire: v1::MirrorCategoriesResponse) -> Option<Self> {
        Some(Self { run: Run::from_wire(wire.run?), joined: wire.joined })
    }

    pub(crate) fn from_revert(wire: v1::RevertRunResponse) -> Option<Self> {
        Some(Self { run: Run::from_wire(wire.run?), joined: wire.joined })
    }
}

impl UnresolvedWrite {
    fn from_wire(wire: v1::UnresolvedWrite) -> Self {
        Self {
            gbp_location: wire::text(wire.gbp_location),
            before: wire.before.filter(|set| set.primary.is_some()).map(CategorySet::from_wire),
            after: wire.after.map(CategorySet::from_wire),
        }
    }
}

impl RunError {
    fn from_wire(wire: v1::RunError) -> Self {
        Self {
            reason: wire.reason,
            message: wire.message,
            attempt: wire.attempt,
            metadata: wire.metadata.into_iter().collect(),
            upstream_details_json: wire::text(wire.upstream_details_json),
        }
    }
}
