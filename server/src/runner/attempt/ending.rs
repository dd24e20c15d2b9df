//! How an attempt ends: with its run's end, another attempt, or in other hands.

use std::time::Duration;

use super::Attempt;
use crate::{
    domain::{Failure, FailureReason, Retry, RunError, RunResult},
    error::Error,
    runner::{cause, record},
    store::Finish,
    wake::Hint,
};

/// The wait between tries to record the end of an attempt while the database is away.
const RECORD_RETRY: Duration = Duration::from_millis(500);

impl Attempt {
    pub(super) async fn finish(&mut self, result: RunResult) -> bool {
        let found = self.found(&result).await;
        let finisher = &self.tools.finisher;
        let (held, attempt) = (self.claim.held, self.run.attempt);
        let end =
            || Finish { held, attempt, result: result.clone(), progress: self.progress.clone(), found: found.clone() };
        let finished = self.persist(|| finisher.finish(self.now, end())).await;
        if finished {
            record::finished(&self.run, &result, &self.progress, self.standing.cause());
        }
        finished
    }

    pub(super) async fn fail(&mut self, failure: Failure) -> bool {
        let wait = match failure.retry {
            Retry::Never => return self.finish(RunResult::Failed(failure)).await,
            Retry::Backoff => None,
            Retry::After(wait) => Some(wait),
        };
        // What Google does to everybody is not held against one run.
        let counts = !(failure.is_waiting() || is_google_down(&failure) && self.tools.circuit.is_open());
        if counts && self.run.attempt >= self.run.max_attempts {
            let failure = failure.exhausted(self.run.attempt);
            return self
                .finish(RunResult::Failed(if self.progress.intent.is_some() { unsettled(failure) } else { failure }))
                .await;
        }
        if self.claim.cancelled.is_cancelled() && self.progress.intent.is_none() {
            return self.finish(RunResult::Cancelled).await;
        }
        let attempt = u32::try_from(self.run.attempt).unwrap_or(1);
        let delay = self.tools.settings.backoff.after(attempt, fastrand::f64(), wait);
        record::will_retry(&self.run, &failure, delay);
        let error = RunError::new(failure, self.run.attempt);
        let store = &self.tools.store;
        let queued =
            self.persist(|| store.retry(self.now, self.claim.held, delay, counts, &error, &self.progress)).await;
        // Whoever waits for the next due run has to reckon with this one.
        self.tools.wake.hint(Hint::Waiting(delay));
        queued
    }

    pub(super) async fn hand_back(&self, error: &Error) -> bool {
        tracing::warn!(run_id = %self.run.id, error = %cause(error), "interrupted an attempt; it does not count");
        let store = &self.tools.store;
        let held = [self.claim.held];
        let handed_back = self.persist(|| async move { Ok(!store.hand_back(&held).await?.is_empty()) }).await;
        self.tools.wake.hint(Hint::Queued);
        handed_back
    }

    /// Records something about the run, again and again while the database is away, until the run turns out to be in other hands. What
    /// the database refuses it would refuse again: then the run is left to its lease, and the number of rescues ends it.
    async fn persist<F>(&self, record: impl Fn() -> F) -> bool
    where
        F: Future<Output = Result<bool, Error>>,
    {
        loop {
            match record().await {
                Ok(true) => return true,
                Ok(false) => return self.is_lost(),
                Err(error @ Error::DatabaseUnavailable(_)) => {
                    tracing::warn!(run_id = %self.run.id, error = %cause(&error), "cannot record an attempt; trying again");
                }
                Err(error) => {
                    tracing::error!(run_id = %self.run.id, error = %cause(&error), "cannot record an attempt");
                    return false;
                }
            }
            tokio::select! {
                () = tokio::time::sleep(RECORD_RETRY) => {}
                () = self.claim.lost.cancelled() => return self.is_lost(),
            }
        }
    }

    /// Nothing was recorded, because the run is in other hands.
    pub(super) fn is_lost(&self) -> bool {
        tracing::warn!(run_id = %self.run.id, attempt = self.run.attempt, "lost the run to another worker");
        false
    }
}

/// Whether a failure is one that Google as a whole may have, and that may pass.
pub(super) fn is_google_down(failure: &Failure) -> bool {
    use FailureReason::{QuotaExhausted, UpstreamInvalid, UpstreamUnavailable};
    failure.retry != Retry::Never
        && matches!(failure.reason, UpstreamUnavailable | UpstreamInvalid | QuotaExhausted)
        && !failure.is_about_one_location()
}

/// Whoever reads of the end has to know that the location may not be as it was.
fn unsettled(mut failure: Failure) -> Failure {
    failure.message.push_str("; whether its last write took effect is not known, the next run will see");
    failure.with("write_outcome", "unknown")
}
