//! How an attempt ends: with its run's end, another attempt, or in other hands.

use std::time::Duration;

use super::{Attempt, SUPERSEDED};
use crate::{
    domain::{Failure, FailureReason, LocationId, Retry, RunError, RunResult},
    error::Error,
    runner::{Tools, cause, record},
    store::{Finish, Found},
    wake::Hint,
};

/// The wait between tries to record the end of an attempt while the database is away.
const RECORD_RETRY: Duration = Duration::from_millis(500);

/// What became of the record of a run's end.
enum Recorded {
    /// The run has ended.
    Ended,
    /// A request has joined the run since its source was read, and the run goes on.
    Superseded,
    /// The run is in other hands, or the database refused the record.
    Nothing,
}

impl Attempt {
    pub(super) async fn finish(&mut self, result: RunResult) -> bool {
        // Whatever ends the run while the outcome of its write is unknown, the run has failed, and says so.
        let result = match result {
            RunResult::Failed(failure) if self.progress.intent.is_some() => {
                RunResult::Failed(failure.with_unknown_write())
            }
            result => result,
        };
        let found = self.found(&result).await;
        let location = self.read.as_ref().and_then(|source| source.tenant.location.clone());
        match self.record_end(&result, found.as_ref(), location.as_ref()).await {
            Recorded::Ended => {
                record::finished(&self.run, &result, &self.progress, self.standing.cause(), self.claimed_at);
                true
            }
            // It was promised what it asked for as things were when it joined, and the other side was read before that.
            Recorded::Superseded => self.begin_anew(SUPERSEDED).await,
            Recorded::Nothing => false,
        }
    }

    async fn record_end(&self, result: &RunResult, found: Option<&Found>, location: Option<&LocationId>) -> Recorded {
        let (held, attempt, read_at) = (self.claim.held, self.run.attempt, self.progress.read_at);
        let end = &|| Finish {
            held,
            attempt,
            result: result.clone(),
            progress: self.progress.clone(),
            location: location.cloned(),
            found: found.cloned(),
        };
        let Tools { finisher, store, .. } = &*self.tools;
        let recorded = self.persist(|is_repeated| async move {
            let end = end();
            let state = end.state();
            if finisher.finish(self.now, end).await? || is_repeated && store.has_ended(held, state).await? {
                return Ok(Some(Recorded::Ended));
            }
            Ok(store.is_superseded(held, read_at).await?.then_some(Recorded::Superseded))
        });
        recorded.await.unwrap_or(Recorded::Nothing)
    }

    /// Returns the run to the queue, where the next attempt begins anew: at once the first time, and then after a pause, as whoever keeps
    /// asking for the run would otherwise have it ask Google without one.
    pub(super) async fn begin_anew(&self, why: &'static str) -> bool {
        tracing::info!(run_id = %self.run.id, why, "attempt begins anew; it is not counted");
        let Tools { store, settings, wake, .. } = &*self.tools;
        let pause = match u32::try_from(self.run.handed_back) {
            Ok(before @ 1..) => settings.backoff.after(before, fastrand::f64(), None),
            _ => Duration::ZERO,
        };
        let requeued = self.persist(|_| async {
            Ok(store.requeue(self.now, self.claim.held, pause, &self.progress).await?.then_some(()))
        });
        let requeued = requeued.await.is_some();
        wake.hint(if pause.is_zero() { Hint::Queued } else { Hint::Waiting(pause) });
        requeued
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
            // However the source has changed, there is no attempt left to read it.
            self.progress.read_at = None;
            return self.finish(RunResult::Failed(failure.exhausted(self.run.attempt))).await;
        }
        // What has written, or may have, is not cancelled.
        let wrote = self.progress.intent.is_some() || !self.progress.written.is_empty();
        if self.claim.cancelled.is_cancelled() && !wrote {
            return self.finish(RunResult::Cancelled).await;
        }
        let attempt = u32::try_from(self.run.attempt).unwrap_or(1);
        let delay = self.tools.settings.backoff.after(attempt, fastrand::f64(), wait);
        record::will_retry(&self.run, &failure, delay);
        let error = RunError::new(failure, self.run.attempt);
        // The next attempt is told what this one has found.
        self.progress.observation = self.standing.observation().or(self.progress.observation.take());
        let store = &self.tools.store;
        let queued = self.persist(|_| async {
            let queued = store.retry(self.now, self.claim.held, delay, counts, &error, &self.progress).await?;
            Ok(queued.then_some(()))
        });
        let queued = queued.await.is_some();
        // Whoever waits for the next due run has to reckon with this one.
        self.tools.wake.hint(Hint::Waiting(delay));
        queued
    }

    pub(super) async fn hand_back(&self, error: &Error) -> bool {
        tracing::warn!(run_id = %self.run.id, error = %cause(error), "interrupted an attempt; it does not count");
        let (store, held, progress) = (&self.tools.store, self.claim.held, &self.progress);
        let handed_back = self.persist(|_| async move {
            // An intent that was recorded, and not sent, would have the next attempt wait for the end of this one's lease.
            let is_done = if self.may_have_begun && progress.intent.is_none() {
                store.requeue(self.now, held, Duration::ZERO, progress).await?
            } else {
                !store.hand_back(&[held]).await?.is_empty()
            };
            Ok(is_done.then_some(()))
        });
        let handed_back = handed_back.await.is_some();
        self.tools.wake.hint(Hint::Queued);
        handed_back
    }

    /// Records something about the run, again and again while the database is away, until the run turns out to be in other hands. What
    /// the database refuses it would refuse again: then the run is left to its lease, and the number of rescues ends it.
    ///
    /// `record` is told whether it was tried before without an answer: then an earlier try may be what has changed the run.
    async fn persist<T, F>(&self, record: impl Fn(bool) -> F) -> Option<T>
    where
        F: Future<Output = Result<Option<T>, Error>>,
    {
        let mut is_repeated = false;
        loop {
            match record(is_repeated).await {
                Ok(Some(recorded)) => return Some(recorded),
                Ok(None) => {
                    self.is_lost();
                    if is_repeated {
                        self.tools.wake.hint(Hint::Changed([self.run.id].into()));
                    }
                    return None;
                }
                Err(error @ Error::DatabaseUnavailable(_)) => {
                    tracing::warn!(run_id = %self.run.id, error = %cause(&error), "cannot record an attempt; trying again");
                    is_repeated = true;
                }
                Err(error) => {
                    tracing::error!(run_id = %self.run.id, error = %cause(&error), "cannot record an attempt");
                    return None;
                }
            }
            tokio::select! {
                () = tokio::time::sleep(RECORD_RETRY) => {}
                () = self.claim.lost.cancelled() => {
                    self.is_lost();
                    return None;
                }
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
