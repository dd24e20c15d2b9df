//! Converts batches to messages.

use std::collections::BTreeMap;

use category_mirror_proto::v1::{self as proto, batch::State};

use super::{run::strategy, time};
use crate::domain::{Batch, BatchGuardVerdict, BatchState, StoppedRuns, batch_name};

pub(in crate::api) fn batch(batch: Batch) -> proto::Batch {
    let counts = batch.counts;
    proto::Batch {
        name: batch_name(batch.id),
        organization: batch.organization.map(|id| id.resource_name()).unwrap_or_default(),
        strategy: strategy(batch.kind.strategy).into(),
        dry_run: batch.kind.dry_run,
        state: match batch.state {
            BatchState::Expanding => State::Expanding,
            BatchState::Running => State::Running,
            BatchState::Cancelling => State::Cancelling,
            BatchState::Completed => State::Completed,
            BatchState::Cancelled => State::Cancelled,
        }
        .into(),
        tenant_count: batch.tenants,
        without_location_count: batch.without_location,
        disabled_count: batch.disabled,
        pending_count: counts.pending,
        queued_count: counts.queued,
        running_count: counts.running,
        succeeded_count: counts.succeeded,
        failed_count: counts.failed,
        skipped_count: counts.skipped,
        joined_count: counts.joined,
        cancelled_count: counts.cancelled,
        out_of_sync_count: batch.out_of_sync,
        change_counts: Some(proto::BatchChangeCounts {
            created: batch.changes.created,
            updated: batch.changes.updated,
            deleted: batch.changes.deleted,
            unmapped: batch.changes.unmapped,
        }),
        stopped_count: batch.stopped.values().sum(),
        stopped_counts: by_rule(&batch.stopped),
        failure_counts: most_first(batch.failure_reason_counts)
            .map(|(reason, run_count)| proto::BatchFailureCount { reason, run_count })
            .collect(),
        confirmed_override_count: batch.max_overrides,
        override_count: batch.overrides_reserved,
        guards: batch.verdicts.iter().map(guard).collect(),
        overridden_guards: batch.overridden_guards,
        override_reason: batch.override_reason,
        caller: batch.caller,
        request_id: batch.request_id.unwrap_or_default(),
        create_time: Some(time(batch.created_at)),
        end_time: batch.ended_at.map(time),
    }
}

fn guard(verdict: &BatchGuardVerdict) -> proto::BatchGuardVerdict {
    proto::BatchGuardVerdict {
        rule: verdict.rule.to_string(),
        value: verdict.value,
        limit: verdict.limit,
        exceeded: verdict.is_exceeded(),
    }
}

/// Counts stopped runs by guard. A run counts for each of the guards that stop it.
fn by_rule(stopped: &StoppedRuns) -> Vec<proto::GuardCount> {
    let mut counts: BTreeMap<String, i64> = BTreeMap::new();
    for (rules, runs) in stopped {
        for rule in rules.split(',') {
            *counts.entry(rule.to_owned()).or_default() += runs;
        }
    }
    most_first(counts).map(|(rule, run_count)| proto::GuardCount { rule, run_count }).collect()
}

fn most_first(counts: BTreeMap<String, i64>) -> impl Iterator<Item = (String, i64)> {
    let mut counts: Vec<(String, i64)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, runs)| std::cmp::Reverse(*runs));
    counts.into_iter()
}
