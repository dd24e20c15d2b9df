//! What follows from the end of an attempt: the run's end, another attempt, or nothing.

use std::time::Duration;

use super::{
    super::{Backoff, Failure, RecordedPlan, Retry, RunResult},
    outcome::AttemptOutcome,
    signals::may_concern_every_location,
};

/// What decides about the conclusion beside the outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptStatus {
    /// Attempts that count, this one included.
    pub attempt: i32,
    /// How many attempts may count.
    pub max_attempts: i32,
    /// Attempts before this one that were not counted.
    pub uncounted_attempts: i32,
    /// Whether a caller has asked to cancel the run.
    pub cancel_requested: bool,
    /// Whether there is a write whose outcome is unknown.
    pub has_write_intent: bool,
    /// Whether this attempt or an earlier one has written.
    pub has_written: bool,
    /// Whether the database may hold a write intent whose request was not sent, because it did not answer when the intent was recorded.
    pub intent_in_doubt: bool,
    /// Whether Google is failing for all locations.
    pub circuit_open: bool,
}

/// What is recorded of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conclusion {
    /// The run ends.
    End {
        /// How.
        result: RunResult,
        /// Whether the end is refused if a request has joined the run since its source was read. It is not if no attempt is left that
        /// could read the source again.
        yields_to_joins: bool,
    },
    /// Another attempt follows.
    Retry {
        /// Why this one failed.
        failure: Failure,
        /// After how long.
        delay: Duration,
        /// Whether this one uses up one of the run's attempts.
        is_counted: bool,
    },
    /// Another attempt follows, from the beginning. This one is not counted.
    BeginAnew {
        /// After how long; zero is at once.
        pause: Duration,
    },
    /// The run returns to the queue as it was claimed. This attempt is not counted.
    Release,
    /// Nothing may be recorded.
    Nothing,
}

impl AttemptStatus {
    /// Concludes what to record of an attempt. `jitter`, from 0 to 1, is the random part of a wait.
    #[must_use]
    pub fn conclude(&self, outcome: AttemptOutcome, backoff: &Backoff, jitter: f64) -> Conclusion {
        match outcome {
            AttemptOutcome::Ended(RunResult::Failed(failure)) => self.after_failure(failure, backoff, jitter),
            AttemptOutcome::Ended(result) => Conclusion::End { result, yields_to_joins: true },
            AttemptOutcome::Superseded => {
                // At once the first time. A caller that keeps asking for the run would otherwise have it ask Google without a pause.
                let pause = match u32::try_from(self.uncounted_attempts) {
                    Ok(before @ 1..) => backoff.after(before, jitter, None),
                    _ => Duration::ZERO,
                };
                Conclusion::BeginAnew { pause }
            }
            // A plain release keeps what the database has of the run: with an intent that was recorded and not sent, the next attempt
            // would have to wait for the end of this one's lease before it knows that nothing was written.
            AttemptOutcome::Interrupted if self.intent_in_doubt && !self.has_write_intent => {
                Conclusion::BeginAnew { pause: Duration::ZERO }
            }
            AttemptOutcome::Interrupted => Conclusion::Release,
            AttemptOutcome::LeaseLost => Conclusion::Nothing,
        }
    }

    fn after_failure(&self, failure: Failure, backoff: &Backoff, jitter: f64) -> Conclusion {
        let retry_after = match failure.retry {
            Retry::Never => return self.end_failed(failure, true),
            Retry::Backoff => None,
            Retry::After(wait) => Some(wait),
        };
        // An outage of Google's for all locations is not held against one run, nor is a failure that another run found out about.
        let is_counted = !(failure.is_waiting() || may_concern_every_location(&failure) && self.circuit_open);
        if is_counted && self.attempt >= self.max_attempts {
            return self.end_failed(failure.exhausted(self.attempt), false);
        }
        // A run that has written, or may have, is not cancelled: it is to say what it wrote.
        if self.cancel_requested && !self.has_write_intent && !self.has_written {
            return Conclusion::End { result: RunResult::Cancelled, yields_to_joins: true };
        }
        let delay = backoff.after(u32::try_from(self.attempt).unwrap_or(1), jitter, retry_after);
        Conclusion::Retry { failure, delay, is_counted }
    }

    /// Whatever ends the run while the outcome of its write is unknown, the failure has to say so.
    fn end_failed(&self, failure: Failure, yields_to_joins: bool) -> Conclusion {
        let failure = if self.has_write_intent { failure.with_unknown_write() } else { failure };
        Conclusion::End { result: RunResult::Failed(failure), yields_to_joins }
    }
}

/// Whether `plan` takes the place of the plan that an earlier attempt of the run has recorded. The plan is the run's, over all attempts: if
/// an earlier attempt of a real run found differences at the same location, a later attempt that finds none does not hide them.
#[must_use]
pub fn replaces_plan(earlier: Option<&RecordedPlan>, plan: &RecordedPlan, dry_run: bool) -> bool {
    let is_here = |earlier: &RecordedPlan| earlier.location.is_none() || earlier.location == plan.location;
    let found_before = earlier.is_some_and(|earlier| !earlier.is_empty() && is_here(earlier));
    dry_run || !plan.is_empty() || !found_before
}

#[cfg(test)]
#[path = "conclusion_tests.rs"]
mod tests;
