//! A run: one execution of one strategy for one tenant.

use std::{collections::BTreeMap, str::FromStr};

use category_mirror_proto::v1;
use chrono::{DateTime, Utc};

use super::{CategorySet, Change, ChangeCounts, GbpView, Plan, Strategy, SyncDecision, wire};
use crate::Error;

open_enum! {
    /// Where a run is in its life.
    RunState {
        /// Accepted and durable, waiting for a worker: at first, or for its next attempt.
        Queued = 1, "queued";
        /// An attempt is under way.
        Running = 2, "running";
        /// Terminal: it did what was asked, which may be nothing.
        Succeeded = 3, "succeeded";
        /// Terminal: it stopped at an error.
        Failed = 4, "failed";
        /// Terminal: it was not carried out, on purpose.
        Skipped = 5, "skipped";
        /// Terminal: somebody cancelled it before it wrote.
        Cancelled = 6, "cancelled";
    }
}

impl RunState {
    /// Whether the run will never change again, as far as this client knows the state; see [`Run::is_terminal`].
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
    /// What became of an attempt.
    AttemptState {
        /// It is under way.
        Running = 1, "running";
        /// It did what was asked.
        Succeeded = 2, "succeeded";
        /// It met an error.
        Failed = 3, "failed";
        /// It found that the run was not to be carried out.
        Skipped = 4, "skipped";
        /// It found the run cancelled.
        Cancelled = 5, "cancelled";
        /// A shutdown of the server cut it short, or it got no place. It is not counted.
        Released = 6, "released";
        /// Its server gave no sign of life any more. It is not counted.
        LeaseExpired = 7, "lease_expired";
    }
}

/// Everything between a worker's claim of a run and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Attempt {
    /// From 1, attempts that are not counted included.
    pub claim_number: i32,
    /// What became of it.
    pub state: AttemptState,
    /// When it began.
    pub start_time: Option<DateTime<Utc>>,
    /// When it ended, or was found to have ended. `None` while it is under way.
    pub end_time: Option<DateTime<Utc>>,
    /// What it met.
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

/// A write to Google whose outcome is unknown: the location may have the categories from before it, those that were asked for, or others
/// that another actor wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct UnresolvedWrite {
    /// The location that was written, `locations/{location}`. `None`: not recorded.
    pub gbp_location: Option<String>,
    /// The categories before the write. `None`: the location had none.
    pub before: Option<CategorySet>,
    /// The categories that were asked for.
    pub after: Option<CategorySet>,
}

/// One execution of one strategy for one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Run {
    /// `tenants/{tenant}/runs/{run}`.
    pub name: String,
    /// `tenants/{tenant}`.
    pub tenant: String,
    /// The tenant's organization when the run was accepted, `organizations/{organization}`.
    pub organization: Option<String>,
    /// The batch it belongs to, `batches/{batch}`.
    pub batch: Option<String>,
    /// Which side wins.
    pub strategy: Strategy,
    /// Whether it only plans.
    pub dry_run: bool,
    /// Where it is in its life.
    pub state: RunState,
    /// Grows with every change of the run, from 1.
    pub revision: i64,
    /// The attempt under way or made last, from 1; 0 before the first.
    pub attempt: i32,
    /// How many attempts there may be.
    pub max_attempts: i32,
    /// Attempts that a shutdown or a crash of the server cut short; they do not count.
    pub uncounted_attempts: i32,
    /// What it will change, or would. `None` before the first plan, and in lists.
    pub plan: Option<Plan>,
    /// What it wrote, over all attempts. Empty in lists.
    pub written_changes: Vec<Change>,
    /// How many changes of each kind: of the plan for a dry run, else of what was written.
    pub counts: ChangeCounts,
    /// Why it failed or was skipped, or why its last attempt failed, such as `UNMAPPED_PRIMARY`.
    pub reason: Option<String>,
    /// What is behind `reason`: the error, or why the run was skipped, such as the flag that is off (metadata `flag`).
    pub error: Option<RunError>,
    /// Who asked: the subject of the caller's token.
    pub caller: String,
    /// The request id of the request that made it.
    pub request_id: Option<String>,
    /// Whether somebody asked to cancel it and it has not stopped yet.
    pub cancel_requested: bool,
    /// When it was accepted.
    pub create_time: Option<DateTime<Utc>>,
    /// When its first attempt began.
    pub start_time: Option<DateTime<Utc>>,
    /// When it reached a terminal state.
    pub end_time: Option<DateTime<Utc>>,
    /// When it goes back into the ready queue for its next attempt. `None`: it is there, or not queued.
    pub next_attempt_time: Option<DateTime<Utc>>,
    /// Its attempts, in their order, those that are not counted included; of very many, the newest. Empty in lists.
    pub attempts: Vec<Attempt>,
    /// The dry run whose plan it applies, `tenants/{tenant}/runs/{run}`.
    pub applied_plan: Option<String>,
    /// The guards that were overridden for it, such as `primary_change`.
    pub overridden_guards: Vec<String>,
    /// Why they were.
    pub override_reason: Option<String>,
    /// Which of Google's records is its source. `None`: its source is the platform.
    pub view: Option<GbpView>,
    /// The run whose changes it takes back, `tenants/{tenant}/runs/{run}`.
    pub revert_of: Option<String>,
    /// A write to Google whose outcome the server does not know: yet, while the run is live; for good, once it is terminal. `None` in lists.
    pub unresolved_write: Option<UnresolvedWrite>,
    /// The decision of a person that it executes.
    pub decision: Option<SyncDecision>,
    /// The checks that other real runs obey and this one does not, because a person has asked for it by a decision or a revert: `cooldown`,
    /// `conflict`.
    pub overridden_checks: Vec<String>,
}

/// Why a run failed, or was skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct RunError {
    /// In UPPER_SNAKE_CASE, such as `UPSTREAM_UNAVAILABLE`.
    pub reason: String,
    /// What happened, for people.
    pub message: String,
    /// The attempt that met it.
    pub attempt: i32,
    /// The values of the message, for programs.
    pub metadata: BTreeMap<String, String>,
    /// The `details` of Google's own error, as JSON.
    pub upstream_details_json: Option<String>,
}

/// What a request for a run was answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct AcceptedRun {
    /// The run, as it was then.
    pub run: Run,
    /// Whether it was live already, and the request joined it.
    pub joined: bool,
}

impl Run {
    /// Whether the run will never change again. True also for a terminal state that only a newer server knows.
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
