//! The record of what became of an attempt: concluded from its facts, written behind its fencing token, and repeated while the database is
//! away.

use std::time::Duration;

use super::{sync_record, telemetry};
use crate::{
    domain::{AttemptOutcome, AttemptStatus, Conclusion, Failure, RunError, RunResult, defect},
    error::Error,
    runner::{
        attempt::{Abort, AttemptContext, Journal},
        context::{RunnerContext, error_chain},
    },
    store::Finish,
    wake::WakeUp,
};

/// The wait between tries to record the end of an attempt while the database is away.
const RECORD_RETRY_DELAY: Duration = Duration::from_millis(500);

/// What became of the record of a run's end.
enum EndRecord {
    /// The run has ended.
    Ended,
    /// A request has joined the run since its source was read, and the run goes on.
    Superseded,
}

/// Returns how the way of an attempt ended, as what follows is concluded from it, and logs what only the log shows.
pub(super) fn outcome_of(context: &AttemptContext, ended: Result<(), Abort>) -> AttemptOutcome {
    let run_id = &context.run.id;
    match ended {
        Ok(()) => AttemptOutcome::Ended(RunResult::Succeeded),
        Err(Abort::Skipped(skip)) => AttemptOutcome::Ended(RunResult::Skipped(skip)),
        Err(Abort::Cancelled) => AttemptOutcome::Ended(RunResult::Cancelled),
        Err(Abort::Failed(failure)) => AttemptOutcome::Ended(RunResult::Failed(failure)),
        Err(Abort::Superseded) => AttemptOutcome::Superseded,
        Err(Abort::LeaseLost) => AttemptOutcome::LeaseLost,
        // Not the run's fault, and whatever was read may be old by the time that the database is back.
        Err(Abort::ServiceError(error @ Error::DatabaseUnavailable(_))) => {
            tracing::warn!(%run_id, error = %error_chain(&error), "interrupted an attempt; it does not count");
            AttemptOutcome::Interrupted
        }
        Err(Abort::ServiceError(error)) => {
            tracing::error!(%run_id, error = %error_chain(&error), "an attempt met a defect");
            AttemptOutcome::Ended(RunResult::Failed(defect()))
        }
    }
}

/// Records what became of an attempt. Returns whether anything was recorded.
pub(super) async fn record(
    runner: &RunnerContext,
    context: &AttemptContext,
    journal: &mut Journal,
    outcome: AttemptOutcome,
) -> bool {
    let is_superseded = outcome == AttemptOutcome::Superseded;
    let conclusion = status(runner, context, journal).conclude(outcome, &runner.settings.backoff, fastrand::f64());
    match conclusion {
        Conclusion::End { result, yields_to_joins } => {
            if !yields_to_joins {
                journal.yields_no_more();
            }
            match end(runner, context, journal, &result).await {
                Some(EndRecord::Ended) => {
                    let (progress, cause) = (journal.progress(), journal.sync.cause());
                    telemetry::record_run_end(&context.run, &result, progress, cause, context.claimed_at);
                    true
                }
                // It goes on: what is concluded from that is never an end, so this comes here once.
                Some(EndRecord::Superseded) => {
                    Box::pin(record(runner, context, journal, AttemptOutcome::Superseded)).await
                }
                None => false,
            }
        }
        Conclusion::Retry { failure, delay, is_counted } => {
            retry(runner, context, journal, failure, delay, is_counted).await
        }
        Conclusion::BeginAnew { pause } => {
            if is_superseded {
                let why = "a request joined the run after its source was read";
                tracing::info!(run_id = %context.run.id, why, "attempt begins anew; it is not counted");
            }
            begin_anew(runner, context, journal, pause).await
        }
        Conclusion::Release => release(runner, context).await,
        Conclusion::Nothing => {
            log_lost(context);
            false
        }
    }
}

/// What decides about the conclusion: read now, because a cancellation may have come, and the circuit may have opened, with this very attempt.
fn status(runner: &RunnerContext, context: &AttemptContext, journal: &Journal) -> AttemptStatus {
    AttemptStatus {
        attempt: context.run.attempt,
        max_attempts: context.run.max_attempts,
        uncounted_attempts: context.run.uncounted_attempts,
        cancel_requested: context.lease.cancelled.is_cancelled(),
        has_write_intent: journal.progress().write_intent.is_some(),
        has_written: !journal.progress().written.is_empty(),
        intent_in_doubt: journal.intent_in_doubt(),
        circuit_open: runner.circuit.is_open(),
    }
}

async fn end(
    runner: &RunnerContext,
    context: &AttemptContext,
    journal: &mut Journal,
    result: &RunResult,
) -> Option<EndRecord> {
    let observation = sync_record::observation(context, journal, result).await;
    let location = journal.source().and_then(|source| source.tenant.location.clone());
    let progress = journal.progress();
    let (held, attempt, read_at) = (context.lease.key, context.run.attempt, progress.read_at);
    let finish = &|| Finish {
        held,
        attempt,
        result: result.clone(),
        progress: progress.clone(),
        location: location.clone(),
        observation: observation.clone(),
    };
    let RunnerContext { finisher, store, .. } = runner;
    let recorded = persist(runner, context, |is_repeated| async move {
        let finish = finish();
        let state = finish.state();
        // An earlier try may have ended the run without an answer: then this one finds nothing to end, and the history has it.
        if finisher.finish(context.now, finish).await? || is_repeated && store.has_ended(held, state).await? {
            return Ok(Some(EndRecord::Ended));
        }
        Ok(store.is_superseded(held, read_at).await?.then_some(EndRecord::Superseded))
    });
    recorded.await
}

async fn retry(
    runner: &RunnerContext,
    context: &AttemptContext,
    journal: &mut Journal,
    failure: Failure,
    delay: Duration,
    is_counted: bool,
) -> bool {
    telemetry::record_retry(&context.run, &failure, delay);
    let error = RunError::new(failure, context.run.attempt);
    // Before the statement: the next attempt is to know what this one has found.
    journal.hand_over();
    let (store, held, progress) = (&runner.store, context.lease.key, journal.progress());
    let queued = persist(runner, context, |_| async {
        let queued = store.retry(context.now, held, delay, is_counted, &error, progress).await?;
        Ok(queued.then_some(()))
    });
    let queued = queued.await.is_some();
    // Even if nothing was recorded, as an earlier try may have been: a poll that waits for the next due run has to reckon with this one.
    runner.wake.send(WakeUp::RunDueIn(delay));
    queued
}

/// Returns the run to the queue, where the next attempt begins anew.
async fn begin_anew(runner: &RunnerContext, context: &AttemptContext, journal: &Journal, pause: Duration) -> bool {
    let (store, held, progress) = (&runner.store, context.lease.key, journal.progress());
    let requeued = persist(runner, context, |_| async {
        Ok(store.requeue(context.now, held, pause, progress).await?.then_some(()))
    });
    let requeued = requeued.await.is_some();
    runner.wake.send(if pause.is_zero() { WakeUp::RunsReady } else { WakeUp::RunDueIn(pause) });
    requeued
}

/// Returns the run to the queue as it is there: what this attempt has learnt is not recorded.
async fn release(runner: &RunnerContext, context: &AttemptContext) -> bool {
    let held = [context.lease.key];
    let released =
        persist(runner, context, |_| async { Ok((!runner.store.release(&held).await?.is_empty()).then_some(())) });
    let released = released.await.is_some();
    runner.wake.send(WakeUp::RunsReady);
    released
}

/// Records something about the run, again and again while the database is away, until the lease turns out to be lost. What the database
/// refuses it would refuse again: then the run is left to its lease, and the number of lease expirations ends it.
///
/// `record` gets whether it was tried before without an answer: then an earlier try may be what has changed the run. Repeating is safe,
/// because each statement matches the fencing token and the state that the first one would have changed.
async fn persist<T, F>(runner: &RunnerContext, context: &AttemptContext, record: impl Fn(bool) -> F) -> Option<T>
where
    F: Future<Output = Result<Option<T>, Error>>,
{
    let run_id = &context.run.id;
    let mut is_repeated = false;
    loop {
        match record(is_repeated).await {
            Ok(Some(recorded)) => return Some(recorded),
            Ok(None) => {
                log_lost(context);
                // The change may be that of an earlier try, and no one else would report it.
                if is_repeated {
                    runner.wake.send(WakeUp::RunsChanged([context.run.id].into()));
                }
                return None;
            }
            Err(error @ Error::DatabaseUnavailable(_)) => {
                tracing::warn!(%run_id, error = %error_chain(&error), "cannot record an attempt; trying again");
                is_repeated = true;
            }
            Err(error) => {
                tracing::error!(%run_id, error = %error_chain(&error), "cannot record an attempt");
                return None;
            }
        }
        // The lease goes on to be renewed as well as it can be. Once it is lost, another worker may have begun.
        tokio::select! {
            () = tokio::time::sleep(RECORD_RETRY_DELAY) => {}
            () = context.lease.lost.cancelled() => {
                log_lost(context);
                return None;
            }
        }
    }
}

/// Nothing was recorded, because another worker may hold the run.
fn log_lost(context: &AttemptContext) {
    tracing::warn!(run_id = %context.run.id, attempt = context.run.attempt, "lost the run to another worker");
}
