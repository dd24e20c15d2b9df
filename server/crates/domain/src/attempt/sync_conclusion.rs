//! What the end of a run adds to what is recorded of its tenant's two sides.

use chrono::{DateTime, Utc};

use super::{
    super::{
        Baseline, DesiredRecord, DesiredState, DriftCause, DriftInputs, FailureReason, GbpState, RunKind, RunResult,
        Stamped, Strategy, WriteIntent, WrittenSet, named_as_observed, observation_digest,
    },
    sync_tracker::{SyncTracker, gbp_read},
};

/// What is recorded of the last observation of the tenant's location.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordedSync<'a> {
    /// See [`observation_digest`]; `None`: the next run has to record what it finds.
    pub digest: Option<&'a str>,
    /// Whether the last successful real run left the sides like that.
    pub matches_baseline: bool,
    /// Whether the observation failed.
    pub failed: bool,
}

/// How a run ends, as far as it matters to its tenant's two sides.
#[derive(Debug, Clone, Copy)]
pub struct SyncEnd<'a> {
    /// What kind of run it is.
    pub kind: RunKind,
    /// How it ends.
    pub result: &'a RunResult,
    /// A write of it whose outcome is unknown.
    pub write_intent: Option<&'a WriteIntent>,
    /// What is recorded. `None`: nothing.
    pub recorded: Option<RecordedSync<'a>>,
}

/// What the end of a run adds to what is recorded.
#[derive(Debug, Clone, PartialEq)]
pub enum SyncConclusion {
    /// Nothing: it is recorded already, or the run has not learnt anything of the location.
    Nothing,
    /// That the observation failed: what was known before stays, and says nothing about now.
    Failed,
    /// That it is unknown whether the location has this set.
    Unresolved(WrittenSet),
    /// What both sides are. Its record needs an assessment.
    Changed(SyncChange),
}

/// Both sides as a run leaves them, while they are not assessed.
#[derive(Debug, Clone, PartialEq)]
pub struct SyncChange {
    desired: DesiredState,
    digest: String,
    baseline: Option<Baseline>,
}

/// What is recorded of both sides.
#[derive(Debug, Clone, PartialEq)]
pub struct SyncRecord {
    /// Why the tenant is, or is not, in sync.
    pub cause: DriftCause,
    /// See [`observation_digest`]; `None`: the cause is unknown, so that the next run has to record what it finds.
    pub digest: Option<String>,
    /// Whether the last successful real run left the sides like this.
    pub matches_baseline: bool,
    /// What the platform wants.
    pub desired: DesiredRecord,
    /// What Google has.
    pub google: Option<GbpState>,
    /// What this run has left, if it has.
    pub baseline: Option<Baseline>,
    /// What this run has written to Google, if it has.
    pub written: Option<WrittenSet>,
    /// The write of an earlier run whose outcome was unknown, if this run found that it took effect.
    pub resolved: Option<Stamped<WrittenSet>>,
    /// When the run saw that another actor had undone what an earlier run wrote.
    pub overwritten_at: Option<DateTime<Utc>>,
    /// Whether a person has to decide from now on.
    pub in_conflict: bool,
}

impl SyncConclusion {
    /// Concludes what the end of a run adds to what is recorded.
    #[must_use]
    pub fn of(tracker: &SyncTracker, end: &SyncEnd<'_>) -> Self {
        // If it is unknown whether a write took effect, so is everything else.
        if let Some(intent) = end.write_intent {
            return Self::Unresolved(WrittenSet { set: intent.after.clone() });
        }
        let Some(desired) = tracker.final_desired().filter(|_| tracker.desired.is_some()) else {
            let is_failure =
                matches!(end.result, RunResult::Failed(failure) if failure.reason != FailureReason::NotRevertible);
            let is_recorded = end.recorded.is_some_and(|recorded| recorded.failed);
            return if is_failure && !is_recorded { Self::Failed } else { Self::Nothing };
        };
        let baseline = baseline_of(tracker, desired, end);
        let digest = observation_digest(desired, tracker.google.as_ref());
        let is_recorded = end.recorded.is_some_and(|recorded| {
            recorded.digest == Some(digest.as_str())
                && (recorded.matches_baseline || baseline.is_none())
                && tracker.written.is_none()
        });
        let is_overwrite = tracker.assessment().is_some_and(|assessment| assessment.is_overwrite);
        if is_recorded && !is_overwrite {
            return Self::Nothing;
        }
        Self::Changed(SyncChange { desired: desired.clone(), digest, baseline })
    }
}

/// What the run has left both sides with. By a revert, the merchant's record is not what the platform wants, and still it is what was left.
fn baseline_of(tracker: &SyncTracker, desired: &DesiredState, end: &SyncEnd<'_>) -> Option<Baseline> {
    let is_real_success = *end.result == RunResult::Succeeded && !end.kind.dry_run;
    let merchant = tracker.google.as_ref().and_then(|google| google.merchant.as_ref());
    let agrees = desired.set.as_ref().ok() == merchant;
    let is_left = is_real_success && (agrees || end.kind.strategy == Strategy::PlatformToGbp);
    let set = merchant.filter(|_| is_left)?.clone();
    Some(Baseline { categories: desired.categories.clone(), set })
}

impl SyncChange {
    /// Whether the run has left both sides so that later changes are told by it.
    #[cfg(test)]
    pub(super) fn leaves_a_baseline(&self) -> bool {
        self.baseline.is_some()
    }

    /// Returns what is recorded, with what `tracker` has assessed. `read_at` is when the attempt read the tenant. `None`: there is no
    /// assessment.
    #[must_use]
    pub fn record(self, tracker: &SyncTracker, read_at: DateTime<Utc>) -> Option<SyncRecord> {
        let Self { desired, digest, baseline } = self;
        let assessment = tracker.assessment()?;
        let known = assessment.known.as_ref();
        let google = tracker.google.as_ref();
        let before = known.and_then(|known| Some(&known.baseline.as_ref()?.what));
        let cause = DriftInputs {
            desired: &desired,
            google: gbp_read(google.or(known.and_then(|known| known.google.as_ref()))),
            baseline: baseline.as_ref().or(before),
            retired: &assessment.retired,
        }
        .cause();
        let merchant = google.and_then(|google| google.merchant.as_ref());
        let is_as_left = |left: &Baseline| left.categories == desired.categories && merchant == Some(&left.set);
        let matches_baseline = baseline.is_some() || before.is_some_and(is_as_left);
        let unresolved = known.and_then(|known| known.unresolved.clone());
        Some(SyncRecord {
            cause,
            digest: (cause != DriftCause::Unknown).then_some(digest),
            matches_baseline,
            baseline,
            written: tracker.written.clone().map(|set| WrittenSet { set }),
            resolved: unresolved.filter(|earlier| merchant == Some(&earlier.what.set)),
            overwritten_at: assessment.is_overwrite.then_some(read_at),
            in_conflict: assessment.is_overwrite
                && known.is_some_and(|known| known.conflicts.reaches_limit_with_next(read_at)),
            google: google.cloned(),
            desired: DesiredRecord {
                retired: desired.gcids().filter(|gcid| assessment.retired.contains(gcid)).cloned().collect(),
                error: desired.set.as_ref().err().map(ToString::to_string),
                set: desired.set.ok().map(|set| named_as_observed(set, merchant)),
            },
        })
    }
}
