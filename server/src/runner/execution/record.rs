//! How an attempt ends: with its run's end, another attempt, or in other hands.

use std::time::Duration;

use super::{AttemptExecution, SUPERSEDED};
use crate::{
    domain::{Failure, FailureReason, LocationId, Retry, RunError, RunResult},
    error::Error,
    runner::{RunnerContext, error_chain, record},
    store::{Finish, SyncObservation},
    wake::WakeUp,
};

/// The wait between tries to record the end of an attempt while the database is away.
const RECORD_RETRY_DELAY: Duration = Duration::from_millis(500);

/// What became of the record of a run's end.
enum RecordOutcome {
    /// The run has ended.
    Ended,
    /// A request has joined the run since its source was read, and the run goes on.
    Superseded,
    /// The run is in other hands, or the database refused the record.
    Nothing,
}

impl AttemptExecution {
    pub(super) async fn finish(&mut self, result: RunResult) -> bool {
        // Whatever ends the run while the outcome of its write is unknown, the run has failed, and says so.
        let result = match result {
            RunResult::Failed(failure) if self.progress.write_intent.is_some() => {
                RunResult::Failed(failure.with_unknown_write())
            }
            result => result,
        };
        let observation = self.sync_observation(&result).await;
        let location = self.read.as_ref().and_then(|source| source.tenant.location.clone());
        match self.record_end(&result, observation.as_ref(), location.as_ref()).await {
            RecordOutcome::Ended => {
                record::record_run_end(&self.run, &result, &self.progress, self.sync_tracker.cause(), self.claimed_at);
                true
            }
            // It was promised what it asked for as things were when it joined, and the other side was read before that.
            RecordOutcome::Superseded => self.release_superseded(SUPERSEDED).await,
            RecordOutcome::Nothing => false,
        }
    }

    async fn record_end(
        &self,
        result: &RunResult,
        observation: Option<&SyncObservation>,
        location: Option<&LocationId>,
    ) -> RecordOutcome {
        let (held, attempt, read_at) = (self.claim.held, self.run.attempt, self.progress.read_at);
        let end = &|| Finish {
            held,
            attempt,
            result: result.clone(),
            progress: self.progress.clone(),
            location: location.cloned(),
            observation: observation.cloned(),
        };
        let RunnerContext { finisher, store, .. } = &*self.context;
        let recorded = self.persist(|is_repeated| async move {
            let end = end();
            let state = end.state();
            if finisher.finish(self.now, end).await? || is_repeated && store.has_ended(held, state).await? {
                return Ok(Some(RecordOutcome::Ended));
            }
            Ok(store.is_superseded(held, read_at).await?.then_some(RecordOutcome::Superseded))
        });
        recorded.await.unwrap_or(RecordOutcome::Nothing)
    }

    /// Returns the run to the queue, where the next attempt begins anew: at once the first time, and then after a pause, as whoever keeps
    /// asking for the run would otherwise have it ask Google without one.
    pub(super) async fn release_superseded(&self, why: &'static str) -> bool {
        tracing::info!(run_id = %self.run.id, why, "attempt begins anew; it is not counted");
        let RunnerContext { store, settings, wake, .. } = &*self.context;
        let pause = match u32::try_from(self.run.uncounted_attempts) {
            Ok(before @ 1..) => settings.backoff.after(before, fastrand::f64(), None),
            _ => Duration::ZERO,
        };
        let requeued = self.persist(|_| async {
            Ok(store.requeue(self.now, self.claim.held, pause, &self.progress).await?.then_some(()))
        });
        let requeued = requeued.await.is_some();
        wake.send(if pause.is_zero() { WakeUp::RunsReady } else { WakeUp::RunDueIn(pause) });
        requeued
    }

    pub(super) async fn fail(&mut self, failure: Failure) -> bool {
        let wait = match failure.retry {
            Retry::Never => return self.finish(RunResult::Failed(failure)).await,
            Retry::Backoff => None,
            Retry::After(wait) => Some(wait),
        };
        // What Google does to everybody is not held against one run.
        let counts = !(failure.is_waiting() || is_google_down(&failure) && self.context.circuit.is_open());
        if counts && self.run.attempt >= self.run.max_attempts {
            // However the source has changed, there is no attempt left to read it.
            self.progress.read_at = None;
            return self.finish(RunResult::Failed(failure.exhausted(self.run.attempt))).await;
        }
        // What has written, or may have, is not cancelled.
        let wrote = self.progress.write_intent.is_some() || !self.progress.written.is_empty();
        if self.claim.cancelled.is_cancelled() && !wrote {
            return self.finish(RunResult::Cancelled).await;
        }
        let attempt = u32::try_from(self.run.attempt).unwrap_or(1);
        let delay = self.context.settings.backoff.after(attempt, fastrand::f64(), wait);
        record::record_retry(&self.run, &failure, delay);
        let error = RunError::new(failure, self.run.attempt);
        // The next attempt is told what this one has found.
        self.progress.observation = self.sync_tracker.observation().or(self.progress.observation.take());
        let store = &self.context.store;
        let queued = self.persist(|_| async {
            let queued = store.retry(self.now, self.claim.held, delay, counts, &error, &self.progress).await?;
            Ok(queued.then_some(()))
        });
        let queued = queued.await.is_some();
        // Whoever waits for the next due run has to reckon with this one.
        self.context.wake.send(WakeUp::RunDueIn(delay));
        queued
    }

    pub(super) async fn release_after_error(&self, error: &Error) -> bool {
        tracing::warn!(run_id = %self.run.id, error = %error_chain(error), "interrupted an attempt; it does not count");
        let (store, held, progress) = (&self.context.store, self.claim.held, &self.progress);
        let released = self.persist(|_| async move {
            // An intent that was recorded, and not sent, would have the next attempt wait for the end of this one's lease.
            let is_done = if self.may_have_begun && progress.write_intent.is_none() {
                store.requeue(self.now, held, Duration::ZERO, progress).await?
            } else {
                !store.release(&[held]).await?.is_empty()
            };
            Ok(is_done.then_some(()))
        });
        let released = released.await.is_some();
        self.context.wake.send(WakeUp::RunsReady);
        released
    }

    /// Records something about the run, again and again while the database is away, until the run turns out to be in other hands. What
    /// the database refuses it would refuse again: then the run is left to its lease, and the number of lease expirations ends it.
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
                        self.context.wake.send(WakeUp::RunsChanged([self.run.id].into()));
                    }
                    return None;
                }
                Err(error @ Error::DatabaseUnavailable(_)) => {
                    tracing::warn!(run_id = %self.run.id, error = %error_chain(&error), "cannot record an attempt; trying again");
                    is_repeated = true;
                }
                Err(error) => {
                    tracing::error!(run_id = %self.run.id, error = %error_chain(&error), "cannot record an attempt");
                    return None;
                }
            }
            tokio::select! {
                () = tokio::time::sleep(RECORD_RETRY_DELAY) => {}
                () = self.claim.lease_lost.cancelled() => {
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
