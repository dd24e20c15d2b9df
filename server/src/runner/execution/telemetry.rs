//! The logs and metrics of an attempt's end: one line per failure, bounded labels, no tenant among them.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tracing::Span;

use crate::{
    domain::{ChangeCounts, DriftCause, Failure, FailureReason, Run, RunResult},
    runner::attempt::Abort,
    spans,
    store::AttemptProgress,
};

/// Records that an attempt failed, and another follows.
pub(super) fn record_retry(run: &Run, failure: &Failure, delay: Duration) {
    metrics::counter!("category_mirror_retries_total", "reason" => failure.reason.as_str()).increment(1);
    tracing::warn!(
        run_id = %run.id, tenant_id = %run.tenant, attempt = run.attempt, max_attempts = run.max_attempts,
        reason = %failure.reason, error = %failure.message, delay_ms = millis(delay), "an attempt failed, another will follow"
    );
}

/// Records the end of a run whose last attempt was claimed at `claimed`. `cause` is why it found differences, if it did.
pub(super) fn record_run_end(
    run: &Run,
    result: &RunResult,
    progress: &AttemptProgress,
    cause: DriftCause,
    claimed: Instant,
) {
    // Up to the last claim by the database's clock, and since then by this process's: two clocks are never compared.
    let earlier = run.attempt_started_at.zip(run.started_at).and_then(|(last, first)| (last - first).to_std().ok());
    let duration = earlier.unwrap_or_default() + claimed.elapsed();
    let planned = ChangeCounts::of(progress.plan.as_ref().map(|plan| plan.changes.as_slice()).unwrap_or_default());
    // A revert makes the differences that it finds.
    if planned != ChangeCounts::default() && run.options.revert_of.is_none() {
        let operation = run.kind.strategy.as_str();
        metrics::counter!("gbp_sync_out_of_sync_detected", "operation" => operation, "cause" => cause.as_str())
            .increment(1);
        tracing::info!(
            run_id = %run.id, tenant_id = %run.tenant, strategy = %run.kind.strategy, dry_run = run.kind.dry_run, %cause,
            created = planned.created, updated = planned.updated, deleted = planned.deleted, "found a tenant out of sync"
        );
    }
    // A dry run and a run that was skipped are no successes: they would hide failures in the rate.
    let is_real = !run.kind.dry_run;
    match result {
        RunResult::Succeeded if is_real => {
            metrics::counter!("category_mirror_success_total").increment(1);
            metrics::gauge!("category_mirror_last_success_timestamp_seconds").set(unix_seconds());
            record_duration("succeeded", duration);
        }
        RunResult::Failed(failure) if is_real => {
            metrics::counter!("category_mirror_fail_total", "reason" => failure.reason.as_str()).increment(1);
            record_duration("failed", duration);
        }
        _ => {}
    }
    let written = ChangeCounts::of(&progress.written);
    let duration_ms = millis(duration);
    match result {
        // The guard did its job. Nothing is broken, and a person decides.
        RunResult::Failed(failure) if failure.reason == FailureReason::Guard => tracing::warn!(
            run_id = %run.id, tenant_id = %run.tenant, strategy = %run.kind.strategy, dry_run = run.kind.dry_run,
            attempt = run.attempt, reason = %failure.reason, error = %failure.message, duration_ms, "run stopped by a guard"
        ),
        RunResult::Failed(failure) => tracing::error!(
            run_id = %run.id, tenant_id = %run.tenant, strategy = %run.kind.strategy, dry_run = run.kind.dry_run,
            attempt = run.attempt, reason = %failure.reason, error = %failure.message, duration_ms, "a run failed"
        ),
        RunResult::Succeeded => tracing::info!(
            run_id = %run.id, tenant_id = %run.tenant, strategy = %run.kind.strategy, dry_run = run.kind.dry_run,
            created = written.created, updated = written.updated, deleted = written.deleted, duration_ms, "a run succeeded"
        ),
        RunResult::Skipped(skip) => {
            tracing::info!(run_id = %run.id, tenant_id = %run.tenant, reason = %skip.reason, explanation = %skip.message, "a run was skipped");
        }
        RunResult::Cancelled => tracing::info!(run_id = %run.id, tenant_id = %run.tenant, "a run was cancelled"),
    }
}

/// Records that the way of an attempt has ended, whatever follows.
pub(super) fn record_attempt_end(ended: &Result<(), Abort>, span: &Span) {
    let state = match ended {
        Ok(()) => "succeeded",
        Err(Abort::Failed(_)) => "failed",
        Err(Abort::Skipped(_)) => "skipped",
        Err(Abort::Cancelled) => "cancelled",
        Err(Abort::LeaseLost) => "lease_lost",
        Err(Abort::ServiceError(_)) => "service_error",
        Err(Abort::Superseded) => "released",
    };
    metrics::counter!("category_mirror_attempts_total", "state" => state).increment(1);
    span.record("state", state);
    match ended {
        Err(Abort::Failed(failure)) => {
            spans::failed(span, failure.reason.as_str());
            span.record("otel.status_description", &failure.message);
        }
        Err(Abort::Skipped(skip)) => drop(span.record("reason", skip.reason.as_str())),
        Err(Abort::ServiceError(error)) => spans::failed(span, error.reason()),
        _ => {}
    }
}

fn record_duration(state: &'static str, duration: Duration) {
    metrics::gauge!("category_mirror_last_duration_ms").set(duration.as_secs_f64() * 1000.0);
    metrics::histogram!("category_mirror_run_duration_seconds", "state" => state).record(duration);
}

fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
