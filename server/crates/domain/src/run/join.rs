//! Whether a request can join a tenant's live run.
//!
//! Joined means: what the request asks for, as things are at that moment, is done by that run. Pure: the store fetches the facts, under a
//! lock on the run, and records the conclusion.

use std::fmt;

use crate::{BatchId, PlanSource, RecordedPlan, RunKind, RunOptions, RunState, SourceCategory, Strategy, batch_name};

/// What a request asks for, as far as joining goes.
#[derive(Debug, Clone, Copy)]
pub struct Joiner<'a> {
    /// Strategy and dry run.
    pub kind: RunKind,
    /// What else is asked for.
    pub options: &'a RunOptions,
    /// Whether a batch asks, rather than a caller who waits for this one run.
    pub is_batch: bool,
}

/// A live run, as far as joining goes.
#[derive(Debug, Clone)]
pub struct LiveRun {
    /// Strategy and dry run.
    pub kind: RunKind,
    /// What it was asked for beyond that.
    pub options: RunOptions,
    /// Queued or running.
    pub state: RunState,
    /// Whether its cancellation is wanted.
    pub cancel_requested: bool,
    /// Whether it has written, or has set out to write and it is not known whether it did.
    pub has_begun_to_write: bool,
    /// The plan that it has written by, or has set out to: an attempt records it when it begins to write.
    pub plan: Option<RecordedPlan>,
    /// Whether the attempt that is under way made that plan, rather than an earlier one.
    pub is_plan_of_attempt: bool,
    /// The batch that it belongs to and that can still stop it.
    pub batch: Option<LiveBatch>,
}

/// The batch of a live run, unless a single request has joined that run before and so exempted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveBatch {
    /// Its id.
    pub id: BatchId,
    /// Whether it may still stop the run: by a guard, for want of a confirmed override, or because the tenant has left its organization.
    pub is_guarded: bool,
    /// Whether it was cancelled, so that the run will be, too.
    pub is_cancelled: bool,
}

/// What becomes of a request that meets a live run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Join {
    /// It joins, and an attempt that has read the source already plans anew.
    Anew,
    /// It joins if the tenant's categories and their mappings are still these: the attempt writes by them, or has just written.
    IfUnchanged(Vec<SourceCategory>),
    /// The same of what an earlier attempt has written by, or has set out to: if it took effect, the run ends with it. Otherwise the run is
    /// planned anew, by an attempt that reads the source after this.
    AnewIfUnchanged(Vec<SourceCategory>),
    /// It joins: the attempt does what is asked for, and that rests on nothing that changes.
    AsItIs,
    /// It cannot join.
    Refused(JoinRefusal),
}

/// Why a request cannot join a live run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinRefusal {
    /// The run was asked for something else.
    OtherRequest,
    /// Its cancellation is wanted.
    CancelRequested,
    /// It has written, or may have, and the source has changed since it was read, or may have.
    SourceChanged,
    /// It applies one plan, or reverts one run, and has written, or may have.
    AlreadyWritten,
    /// It is a run of this batch, which may stop it.
    OtherBatch(BatchId),
}

impl JoinRefusal {
    /// The refusal in `UPPER_SNAKE_CASE`, for programs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OtherRequest => "OTHER_REQUEST",
            Self::CancelRequested => "CANCEL_REQUESTED",
            Self::SourceChanged => "SOURCE_CHANGED",
            Self::AlreadyWritten => "ALREADY_WRITTEN",
            Self::OtherBatch(_) => "OTHER_BATCH",
        }
    }
}

impl fmt::Display for JoinRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherRequest => f.write_str("it was requested with other arguments"),
            Self::CancelRequested => f.write_str("it is being cancelled"),
            Self::SourceChanged => {
                f.write_str("it has begun to write, and its source may have changed since it was read")
            }
            Self::AlreadyWritten => f.write_str("it has begun its only write, and the target may have changed since"),
            Self::OtherBatch(batch) => write!(f, "it belongs to {}, which may stop it", batch_name(*batch)),
        }
    }
}

impl LiveRun {
    /// Decides whether `joiner` can join this run.
    #[must_use]
    pub fn join(&self, joiner: Joiner<'_>) -> Join {
        if (self.kind, &self.options) != (joiner.kind, joiner.options) {
            return Join::Refused(JoinRefusal::OtherRequest);
        }
        if self.cancel_requested {
            return Join::Refused(JoinRefusal::CancelRequested);
        }
        // A single request exempts the run from its batch instead.
        let can_stop = |batch: &LiveBatch| batch.is_guarded || batch.is_cancelled || self.has_begun_to_write;
        let stopper = self.batch.filter(|batch| joiner.is_batch && can_stop(batch));
        if let Some(batch) = stopper {
            return Join::Refused(JoinRefusal::OtherBatch(batch.id));
        }
        if !self.has_begun_to_write {
            return Join::Anew;
        }
        match &self.plan {
            Some(plan) if self.is_plan_of_attempt && self.state == RunState::Running => self.join_write(plan),
            plan => self.join_earlier_write(plan.as_ref()),
        }
    }

    /// Decides for a run of which an earlier attempt has written by `plan`, or may have. A run writes once: an attempt that finds that write
    /// done ends the run with it, and plans no more.
    fn join_earlier_write(&self, plan: Option<&RecordedPlan>) -> Join {
        match (self.kind.strategy, plan) {
            _ if self.has_one_write() => Join::Refused(JoinRefusal::AlreadyWritten),
            (Strategy::PlatformToGbp, Some(plan)) => Join::AnewIfUnchanged(plan.source.clone()),
            // Only Google knows whether its side has changed since.
            _ => Join::Refused(JoinRefusal::SourceChanged),
        }
    }

    /// Decides for a run whose attempt writes by `plan`, or has just written.
    fn join_write(&self, plan: &RecordedPlan) -> Join {
        match (self.kind.strategy, plan.from) {
            // What it reverts never changes.
            (Strategy::PlatformToGbp, PlanSource::Before(_)) => Join::AsItIs,
            (Strategy::PlatformToGbp, _) => Join::IfUnchanged(plan.source.clone()),
            (Strategy::GbpToPlatform, PlanSource::Before(_)) => Join::Refused(JoinRefusal::AlreadyWritten),
            // Only Google knows whether its side has changed since.
            (Strategy::GbpToPlatform, _) => Join::Refused(JoinRefusal::SourceChanged),
        }
    }

    /// Whether it writes once, whatever changes afterwards.
    fn has_one_write(&self) -> bool {
        self.options.applied_plan.is_some() || self.options.revert_of.is_some()
    }
}
