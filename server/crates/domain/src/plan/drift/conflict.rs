//! When two sides change each other's value back again and again, until a person decides.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::{RunId, failure::text_enum};

/// So many times within [`OVERWRITE_WINDOW`] may a value of ours be changed back before a person has to decide.
pub const MAX_OVERWRITES: usize = 3;
/// How long an overwrite counts.
pub const OVERWRITE_WINDOW: TimeDelta = TimeDelta::days(7);

text_enum! {
    /// What a person decides about a tenant.
    Decision {
        /// Google's categories become the platform's.
        AcceptGoogle = "accept_google",
        /// The platform's are written once more, and the count begins anew.
        PushAgain = "push_again",
        /// It stays as it is: no run writes to Google, until another decision.
        Ignore = "ignore",
    }
}

text_enum! {
    /// What became of a decision.
    DecisionState {
        /// The run that executes it is live.
        Pending = "pending",
        /// That run has succeeded, or the decision needs none.
        Executed = "executed",
        /// That run has ended, and has not succeeded: a person has to decide again.
        Failed = "failed",
    }
}

/// A decision, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionRecord {
    /// What was decided.
    pub decision: Decision,
    /// Who decided.
    pub caller: String,
    /// When.
    pub at: DateTime<Utc>,
    /// Why.
    pub reason: String,
    /// The run that executes it, where it needs one.
    pub run: Option<RunId>,
    /// What became of it.
    pub state: DecisionState,
    /// Why its run did not succeed.
    pub run_reason: Option<String>,
}

/// What is known of the quarrel about a tenant's value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConflictHistory {
    /// When somebody had changed back what a run had written, once for each write, oldest first.
    pub overwritten_at: Vec<DateTime<Utc>>,
    /// Since when a person has to decide.
    pub conflict_at: Option<DateTime<Utc>>,
    /// The last decision.
    pub decided: Option<DecisionRecord>,
}

impl ConflictHistory {
    /// How many overwrites count at `now`.
    #[must_use]
    pub fn recent(&self, now: DateTime<Utc>) -> usize {
        self.overwritten_at.iter().filter(|overwrite| now - **overwrite < OVERWRITE_WINDOW).count()
    }

    /// Whether one more overwrite at `now` is one too many.
    #[must_use]
    pub fn reaches_limit_with_next(&self, now: DateTime<Utc>) -> bool {
        self.recent(now) + 1 > MAX_OVERWRITES
    }

    /// Whether what was left at `since` has been flipped already, or decided about, so that it is not counted again.
    #[must_use]
    pub fn has_counted(&self, since: DateTime<Utc>) -> bool {
        self.overwritten_at.iter().chain(self.decided.iter().map(|decided| &decided.at)).any(|at| *at > since)
    }

    /// The decision that keeps runs from writing to Google, where there is one.
    #[must_use]
    pub fn ignoring(&self) -> Option<&DecisionRecord> {
        self.decided.as_ref().filter(|decided| decided.decision == Decision::Ignore)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(days: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(days)
    }

    #[test]
    fn the_fourth_flip_within_seven_days_is_one_too_many() {
        let of = |days: &[i64]| ConflictHistory {
            overwritten_at: days.iter().map(|day| at(*day)).collect(),
            ..ConflictHistory::default()
        };
        for (overwritten_at, now, reaches_limit_with_next) in [
            (&[][..], 0, false),
            (&[0, 1], 2, false),
            (&[0, 1, 2], 3, true),
            (&[0, 1, 2], 6, true),
            (&[0, 1, 2], 7, false),
            (&[0, 5, 6, 7], 8, true),
        ] {
            assert_eq!(
                of(overwritten_at).reaches_limit_with_next(at(now)),
                reaches_limit_with_next,
                "{overwritten_at:?} at {now}"
            );
        }
    }

    #[test]
    fn each_write_is_flipped_once() {
        let conflict = ConflictHistory { overwritten_at: vec![at(3)], ..ConflictHistory::default() };
        assert!(conflict.has_counted(at(2)));
        assert!(!conflict.has_counted(at(3)), "what was left afterwards");
    }
}
