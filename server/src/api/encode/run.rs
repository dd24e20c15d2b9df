//! Converts runs and their statistics to messages.

use category_mirror_proto::v1::{self as proto, attempt, run::State};
use chrono::{DateTime, Utc};

use super::{
    plan::{change, gbp_categories},
    time,
};
use crate::domain::{
    Attempt, AttemptState, EndedRuns, LocationId, Run, RunError, RunId, RunState, Strategy, SyncStats, View,
    WriteIntent, batch_name,
};

pub(in crate::api) fn run(run: Run) -> proto::Run {
    // Both ids are of runs of the same tenant.
    let name_of = |id: Option<RunId>| id.map(|id| format!("tenants/{}/runs/{id}", run.tenant)).unwrap_or_default();
    let overridden_checks =
        if run.kind.dry_run { Vec::new() } else { run.options.overridden_checks(run.kind.strategy) };
    proto::Run {
        attempts: run.all_attempts().into_iter().map(attempt).collect(),
        name: run.resource_name(),
        tenant: run.tenant.resource_name(),
        organization: run.organization.map(|id| id.resource_name()).unwrap_or_default(),
        batch: run.batch.map(batch_name).unwrap_or_default(),
        strategy: strategy(run.kind.strategy).into(),
        dry_run: run.kind.dry_run,
        state: match run.state {
            RunState::Queued => State::Queued,
            RunState::Running => State::Running,
            RunState::Succeeded => State::Succeeded,
            RunState::Failed => State::Failed,
            RunState::Skipped => State::Skipped,
            RunState::Cancelled => State::Cancelled,
        }
        .into(),
        revision: run.revision,
        attempt: run.attempt,
        max_attempts: run.max_attempts,
        uncounted_attempts: run.uncounted_attempts,
        plan: run.plan.map(super::plan::plan),
        written_changes: run.written.into_iter().map(change).collect(),
        counts: Some(proto::ChangeCounts {
            created: run.counts.created,
            updated: run.counts.updated,
            deleted: run.counts.deleted,
            unmapped: run.unmapped,
        }),
        reason: run.reason.unwrap_or_default(),
        error: run.error.map(error),
        caller: run.caller,
        request_id: run.request_id.unwrap_or_default(),
        cancel_requested: run.cancel_requested && !run.state.is_terminal(),
        create_time: Some(time(run.created_at)),
        start_time: run.started_at.map(time),
        end_time: run.ended_at.map(time),
        next_attempt_time: run.next_attempt_at.map(time),
        applied_plan: name_of(run.options.applied_plan),
        overridden_guards: run.options.overridden_guards.iter().map(ToString::to_string).collect(),
        override_reason: run.options.override_reason.clone().unwrap_or_default(),
        view: match (run.kind.strategy, run.options.view()) {
            (Strategy::PlatformToGbp, _) => proto::GbpView::Unspecified,
            (Strategy::GbpToPlatform, View::Merchant) => proto::GbpView::Merchant,
            (Strategy::GbpToPlatform, View::Public) => proto::GbpView::Public,
        }
        .into(),
        revert_of: name_of(run.options.revert_of),
        unresolved_write: run.write_intent.as_ref().map(unresolved_write),
        decision: run.options.decision.map(super::tenant_sync::decides).unwrap_or_default().into(),
        overridden_checks: overridden_checks.into_iter().map(str::to_owned).collect(),
    }
}

fn unresolved_write(intent: &WriteIntent) -> proto::UnresolvedWrite {
    proto::UnresolvedWrite {
        gbp_location: intent.location.as_ref().map(LocationId::resource_name).unwrap_or_default(),
        before: Some(intent.before.as_ref().map(gbp_categories).unwrap_or_default()),
        after: Some(gbp_categories(&intent.after)),
    }
}

pub(super) fn strategy(strategy: Strategy) -> proto::Strategy {
    match strategy {
        Strategy::PlatformToGbp => proto::Strategy::PlatformToGbp,
        Strategy::GbpToPlatform => proto::Strategy::GbpToPlatform,
    }
}

fn attempt(attempt: Attempt) -> proto::Attempt {
    let state = match attempt.state {
        AttemptState::Running => attempt::State::Running,
        AttemptState::Succeeded => attempt::State::Succeeded,
        AttemptState::Failed => attempt::State::Failed,
        AttemptState::Skipped => attempt::State::Skipped,
        AttemptState::Cancelled => attempt::State::Cancelled,
        AttemptState::Released => attempt::State::Released,
        AttemptState::LeaseExpired => attempt::State::LeaseExpired,
    };
    proto::Attempt {
        claim_number: attempt.claim_number,
        state: state.into(),
        start_time: attempt.started_at.map(time),
        end_time: attempt.ended_at.map(time),
        error: attempt.error.map(error),
    }
}

fn error(error: RunError) -> proto::RunError {
    let details = &error.upstream_details;
    proto::RunError {
        reason: error.reason,
        message: error.message,
        attempt: error.attempt,
        metadata: error.metadata.into_iter().collect(),
        upstream_details_json: if details.is_null() { String::new() } else { details.to_string() },
    }
}

pub(in crate::api) fn stats(stats: SyncStats) -> proto::SyncStats {
    proto::SyncStats {
        start_time: Some(time(stats.start_at)),
        end_time: Some(time(stats.end_at)),
        total_runs: stats.total,
        succeeded_runs: stats.ended.succeeded,
        failed_runs: stats.ended.failed,
        skipped_runs: stats.ended.skipped,
        cancelled_runs: stats.ended.cancelled,
        live_runs: stats.live,
        dry_runs: stats.ended.dry_runs + stats.live_dry_runs,
        guard_stopped_runs: stats.guard_stopped(),
        success_rate_percent: success_rate(stats.ended.succeeded, stats.ended.failed - stats.guard_stopped()),
        out_of_sync_runs: stats.ended.out_of_sync,
        recent_failures: stats.recent_failures.into_iter().map(run).collect(),
        failure_counts: stats
            .failures
            .into_iter()
            .map(|(reason, run_count)| proto::FailureCount { reason, run_count })
            .collect(),
        duration_p50: stats.duration_p50.and_then(|duration| duration.try_into().ok()),
        duration_p95: stats.duration_p95.and_then(|duration| duration.try_into().ok()),
        series: stats.series.into_iter().map(|(at, counts)| point(at, counts)).collect(),
        out_of_sync_tenants: stats.out_of_sync_tenants,
    }
}

fn point(at: DateTime<Utc>, counts: EndedRuns) -> proto::SyncStatsPoint {
    proto::SyncStatsPoint {
        start_time: Some(time(at)),
        succeeded_runs: counts.succeeded,
        failed_runs: counts.failed,
        skipped_runs: counts.skipped,
        cancelled_runs: counts.cancelled,
        dry_runs: counts.dry_runs,
        out_of_sync_runs: counts.out_of_sync,
    }
}

/// Returns the success rate in percent, rounded to one decimal; `None` if there is nothing to divide.
fn success_rate(succeeded: i64, failed: i64) -> Option<f64> {
    let total = succeeded + failed;
    #[expect(clippy::cast_precision_loss, reason = "counts of runs are far below 2^53")]
    let rate = || (succeeded as f64 * 1000.0 / total as f64).round() / 10.0;
    (total > 0).then(rate)
}

#[cfg(test)]
mod tests {
    use super::success_rate;

    #[test]
    fn d30_nothing_to_divide_is_no_rate() {
        assert_eq!(success_rate(0, 0), None);
    }

    #[test]
    fn the_rate_has_one_decimal() {
        assert_eq!(success_rate(2, 1), Some(66.7));
        assert_eq!(success_rate(12, 0), Some(100.0));
        assert_eq!(success_rate(0, 3), Some(0.0));
    }
}
