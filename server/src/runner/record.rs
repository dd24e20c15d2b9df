//! What the logs and metrics say of an attempt's end: one line a failure, bounded labels, no tenant among them.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tracing::Span;

use super::attempt::Stop;
use crate::{
    domain::{Cause, ChangeCounts, Failure, FailureReason, Run, RunResult},
    spans,
    store::Progress,
};

/// An attempt failed, and another will follow.
pub(super) fn will_retry(run: &Run, failure: &Failure, delay: Duration) {
    metrics::counter!("category_mirror_retries_total", "reason" => failure.reason.as_str()).increment(1);
    tracing::warn!(
        run_id = %run.id, tenant = %run.tenant, attempt = run.attempt, max_attempts = run.max_attempts,
        reason = %failure.reason, error = %failure.message, delay_ms = millis(delay), "an attempt failed, another will follow"
    );
}

/// A run ended whose last attempt was claimed at `claimed`. `cause` is why it found differences, if it did.
pub(super) fn finished(run: &Run, result: &RunResult, progress: &Progress, cause: Cause, claimed: Instant) {
    // Up to the last claim by the database's clock, and since then by this process's: two clocks are never compared.
    let earlier = run.attempted_at.zip(run.started_at).and_then(|(last, first)| (last - first).to_std().ok());
    let duration = earlier.unwrap_or_default() + claimed.elapsed();
    let found = ChangeCounts::of(progress.plan.as_ref().map(|plan| plan.changes.as_slice()).unwrap_or_default());
    // Whoever takes a run back knows of the differences.
    if found != ChangeCounts::default() && run.orders.reverts.is_none() {
        let operation = run.kind.strategy.as_str();
        metrics::counter!("gbp_sync_out_of_sync_detected", "operation" => operation, "cause" => cause.as_str())
            .increment(1);
        tracing::info!(
            run_id = %run.id, tenant = %run.tenant, strategy = %run.kind.strategy, dry_run = run.kind.dry_run, %cause,
            created = found.created, updated = found.updated, deleted = found.deleted, "found a tenant out of sync"
        );
    }
    // A dry run and a run that was not carried out are no successes: they would hide failures in the rate.
    let is_real = !run.kind.dry_run;
    match result {
        RunResult::Succeeded if is_real => {
            metrics::counter!("category_mirror_success_total").increment(1);
            metrics::gauge!("category_mirror_last_success_timestamp_seconds").set(unix_seconds());
            took("succeeded", duration);
        }
        RunResult::Failed(failure) if is_real => {
            metrics::counter!("category_mirror_fail_total", "reason" => failure.reason.as_str()).increment(1);
            took("failed", duration);
        }
        _ => {}
    }
    let written = ChangeCounts::of(&progress.written);
    let duration_ms = millis(duration);
    match result {
        // The guard did its job. Nothing is broken, and a person decides.
        RunResult::Failed(failure) if failure.reason == FailureReason::Guard => tracing::warn!(
            run_id = %run.id, tenant = %run.tenant, strategy = %run.kind.strategy, dry_run = run.kind.dry_run,
            attempt = run.attempt, reason = %failure.reason, error = %failure.message, duration_ms, "run stopped by a guard"
        ),
        RunResult::Failed(failure) => tracing::error!(
            run_id = %run.id, tenant = %run.tenant, strategy = %run.kind.strategy, dry_run = run.kind.dry_run,
            attempt = run.attempt, reason = %failure.reason, error = %failure.message, duration_ms, "a run failed"
        ),
        RunResult::Succeeded => tracing::info!(
            run_id = %run.id, tenant = %run.tenant, strategy = %run.kind.strategy, dry_run = run.kind.dry_run,
            created = written.created, updated = written.updated, deleted = written.deleted, duration_ms, "a run succeeded"
        ),
        RunResult::Skipped(skip) => {
            tracing::info!(run_id = %run.id, tenant = %run.tenant, reason = %skip.reason, cause = %skip.message, "a run was skipped");
        }
        RunResult::Cancelled => tracing::info!(run_id = %run.id, tenant = %run.tenant, "a run was cancelled"),
    }
}

/// An attempt came to its end, whatever follows.
pub(super) fn attempted(outcome: &Result<RunResult, Stop>, span: &Span) {
    let result = match outcome {
        Ok(RunResult::Succeeded) => "succeeded",
        Ok(RunResult::Failed(_)) | Err(Stop::Failed(_)) => "failed",
        Ok(RunResult::Skipped(_)) | Err(Stop::Skipped(_)) => "skipped",
        Ok(RunResult::Cancelled) | Err(Stop::Cancelled) => "cancelled",
        Err(Stop::Lost) => "lost",
        Err(Stop::Interrupted(_)) => "interrupted",
        Err(Stop::Anew(_)) => "begun_anew",
    };
    metrics::counter!("category_mirror_attempts_total", "result" => result).increment(1);
    span.record("result", result);
    match outcome {
        Ok(RunResult::Failed(failure)) | Err(Stop::Failed(failure)) => {
            spans::failed(span, failure.reason.as_str());
            span.record("otel.status_description", &failure.message);
        }
        Ok(RunResult::Skipped(skip)) | Err(Stop::Skipped(skip)) => drop(span.record("reason", skip.reason.as_str())),
        Err(Stop::Interrupted(error)) => spans::failed(span, error.reason()),
        _ => {}
    }
}

fn took(result: &'static str, duration: Duration) {
    metrics::gauge!("category_mirror_last_duration_ms").set(duration.as_secs_f64() * 1000.0);
    metrics::histogram!("category_mirror_run_duration_seconds", "result" => result).record(duration);
}

fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
