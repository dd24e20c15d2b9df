//! Runs and their life.

pub(crate) mod backoff;
pub(crate) mod batch;
pub(crate) mod batch_guard;
pub(crate) mod capability;
pub(crate) mod join;
pub(crate) mod kind;
pub(crate) mod run_options;
pub(crate) mod trace;
pub(crate) mod trace_state;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    BatchId, ChangeCounts, Failure, OrganizationId, RecordedChange, RecordedPlan, RunId, RunKind, RunOptions, TenantId,
    WriteIntent, failure::text_enum,
};

text_enum! {
    /// Where a run is in its life.
    RunState {
        /// Durable, waiting for its first or next attempt.
        Queued = "queued",
        /// An attempt is under way.
        Running = "running",
        /// Did what was asked.
        Succeeded = "succeeded",
        /// Stopped at an error.
        Failed = "failed",
        /// Not carried out, on purpose.
        Skipped = "skipped",
        /// Cancelled before it wrote.
        Cancelled = "cancelled",
    }
}

impl RunState {
    /// Whether the run never changes again.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

text_enum! {
    /// Why a run was skipped.
    SkipReason {
        /// A real run of the same tenant and strategy succeeded too recently.
        Cooldown = "COOLDOWN",
        /// What the plan to be applied was made from has changed.
        PlanStale = "PLAN_STALE",
        /// A feature flag is off.
        FeatureDisabled = "FEATURE_DISABLED",
        /// The batch found a live run that does what this one would have done.
        Joined = "JOINED",
        /// The batch found a live run that does something else, or may not do this.
        RunInProgress = "RUN_IN_PROGRESS",
        /// The tenant has left the organization since the batch for that was accepted.
        OrganizationChanged = "ORGANIZATION_CHANGED",
        /// What it would write was changed back too often, or is to be left alone: a person decides.
        EditConflict = "EDIT_CONFLICT",
        /// Google says that the location is closed for good, so it is left alone.
        LocationClosed = "LOCATION_CLOSED",
    }
}

/// Why a run was skipped, and what there is to say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skip {
    /// The reason.
    pub reason: SkipReason,
    /// For people.
    pub message: String,
    /// The values of the message, for programs.
    pub metadata: BTreeMap<String, String>,
}

impl Skip {
    /// A tenant of a batch is no longer one of `organization`, which the batch is for: whoever it belongs to now was not asked.
    #[must_use]
    pub fn left_organization(tenant: &TenantId, organization: String) -> Self {
        Self {
            reason: SkipReason::OrganizationChanged,
            message: format!("{} has left {organization} since the batch was accepted", tenant.resource_name()),
            metadata: [("organization".to_owned(), organization)].into(),
        }
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunResult {
    /// It did what was asked; a dry run, planning.
    Succeeded,
    /// It was not to be carried out.
    Skipped(Skip),
    /// Somebody cancelled it, and it had not written.
    Cancelled,
    /// It failed. Whether another attempt follows is the runner's decision.
    Failed(Failure),
}

/// What a run shows of its failure, or of why it was skipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunError {
    /// The text of a [`FailureReason`][crate::FailureReason] or a [`SkipReason`].
    pub reason: String,
    /// For people.
    pub message: String,
    /// The attempt that met it, from 1.
    pub attempt: i32,
    /// The values of the message.
    pub metadata: BTreeMap<String, String>,
    /// The `details` of Google's error.
    pub upstream_details: serde_json::Value,
}

impl RunError {
    /// The failure of attempt `attempt`.
    #[must_use]
    pub fn new(failure: Failure, attempt: i32) -> Self {
        let Failure { reason, message, metadata, upstream_details, retry: _ } = failure;
        Self { reason: reason.to_string(), message, attempt, metadata, upstream_details }
    }

    /// What attempt `attempt` did not carry out, and why.
    #[must_use]
    pub fn skipped(skip: Skip, attempt: i32) -> Self {
        let Skip { reason, message, metadata } = skip;
        Self { reason: reason.to_string(), message, attempt, metadata, upstream_details: serde_json::Value::Null }
    }
}

text_enum! {
    /// What became of an attempt.
    AttemptState {
        /// It is under way.
        Running = "running",
        /// It did what was asked.
        Succeeded = "succeeded",
        /// It met an error.
        Failed = "failed",
        /// It found that the run was not to be carried out.
        Skipped = "skipped",
        /// It found the run cancelled.
        Cancelled = "cancelled",
        /// A shutdown cut it short, or it got no place.
        Released = "released",
        /// Its server gave no sign of life any more.
        LeaseExpired = "lease_expired",
    }
}

/// One attempt of a run: everything between a claim and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// From 1, those included that are not counted.
    pub claim_number: i32,
    /// When it began; `None` where that was not kept.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended, or was found to have; `None` while it is under way.
    pub ended_at: Option<DateTime<Utc>>,
    /// What became of it.
    pub state: AttemptState,
    /// What it met.
    pub error: Option<RunError>,
}

/// A run as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// The tenant; it may be deleted meanwhile.
    pub tenant: TenantId,
    /// The tenant's organization at acceptance.
    pub organization: Option<OrganizationId>,
    /// The batch that it belongs to.
    pub batch: Option<BatchId>,
    /// Strategy and dry run.
    pub kind: RunKind,
    /// What else it was asked for.
    pub options: RunOptions,
    /// Where it is in its life.
    pub state: RunState,
    /// Grows with every change, from 1.
    pub revision: i64,
    /// Claims that count: every one but the uncounted ones.
    pub attempt: i32,
    /// How many attempts there may be.
    pub max_attempts: i32,
    /// Attempts cut short by a shutdown or crash of ours.
    pub uncounted_attempts: i32,
    /// Whether somebody asked to cancel it.
    pub cancel_requested: bool,
    /// The newest plan.
    pub plan: Option<RecordedPlan>,
    /// What it wrote, over all attempts.
    pub written: Vec<RecordedChange>,
    /// A write whose outcome is not known: yet, while the run is live; for good, once it is terminal.
    pub write_intent: Option<WriteIntent>,
    /// The plan's counts in a dry run, else those of `written`.
    pub counts: ChangeCounts,
    /// Unmapped categories that were left out, or left alone.
    pub unmapped: i32,
    /// Why it failed, was skipped, or why its last attempt failed.
    pub reason: Option<String>,
    /// What is behind the reason.
    pub error: Option<RunError>,
    /// Who asked.
    pub caller: String,
    /// The request's id, where it had one.
    pub request_id: Option<String>,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When its first attempt began.
    pub started_at: Option<DateTime<Utc>>,
    /// The attempts that are over, the newest 50, but for the one that ended the run; see [`Run::all_attempts`].
    pub attempts: Vec<Attempt>,
    /// When the attempt under way or made last began.
    pub attempt_started_at: Option<DateTime<Utc>>,
    /// When it reached a terminal state.
    pub ended_at: Option<DateTime<Utc>>,
    /// When it comes back to the ready queue for its next attempt. `None`: it is there, or not queued.
    pub next_attempt_at: Option<DateTime<Utc>>,
}

impl Run {
    /// `tenants/{tenant}/runs/{run}`.
    #[must_use]
    pub fn resource_name(&self) -> String {
        format!("tenants/{}/runs/{}", self.tenant, self.id)
    }

    /// The newest attempts, in their order, with the one under way or the one that ended the run, of which the run itself tells.
    #[must_use]
    pub fn all_attempts(&self) -> Vec<Attempt> {
        let claim_number = self.attempt + self.uncounted_attempts;
        let state = match self.state {
            RunState::Queued => return self.attempts.clone(),
            RunState::Running => AttemptState::Running,
            RunState::Succeeded => AttemptState::Succeeded,
            RunState::Failed => AttemptState::Failed,
            RunState::Skipped => AttemptState::Skipped,
            RunState::Cancelled => AttemptState::Cancelled,
        };
        let is_known = self.attempts.last().is_some_and(|last| last.claim_number >= claim_number);
        // One that was cancelled while it was queued has no attempt more than those that are over.
        let last = (self.attempt_started_at.is_some() && !is_known).then(|| Attempt {
            claim_number,
            started_at: self.attempt_started_at,
            ended_at: self.ended_at,
            state,
            error: self.error.clone().filter(|_| self.state.is_terminal()),
        });
        self.attempts.iter().cloned().chain(last).collect()
    }
}
