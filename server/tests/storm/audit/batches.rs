//! An accepted batch is there, once, with a run for each of its tenants, once; it counts them rightly, and keeps its guards.

use std::collections::{BTreeMap, HashMap, HashSet};

use category_mirror_client::{Batch, BatchState};
use uuid::Uuid;

use super::writes::Write;
use crate::{
    evidence::{Evidence, Row},
    journal::Entry,
    record::AcceptedBatch,
    witness,
};

/// From so many tenants on a batch may change a share of them only.
const GUARDED_FROM: usize = 20;
/// In a hundred tenants.
const CHANGES: usize = 20;
/// In a hundred tenants.
const PRIMARIES: usize = 5;

/// Compares the callers' answers with the tables and with what the service says of each batch now.
pub(super) fn check(evidence: &Evidence, writes: &[Write<'_>]) -> Vec<String> {
    let mut findings = on_record(evidence);
    let rows: HashMap<Uuid, &Row> = evidence.rows.iter().map(|row| (row.id, row)).collect();
    let has_place = |entry: &&Entry| entry.after.as_ref().is_some_and(|after| after.batch_write_reserved);
    let placed: HashSet<Uuid> = evidence.journal.iter().filter(has_place).map(|entry| entry.run).collect();
    let joined = joined(evidence);
    let mut members: HashMap<Uuid, Vec<&Row>> = HashMap::new();
    for row in &evidence.rows {
        if let Some(batch) = row.batch {
            members.entry(batch).or_default().push(row);
        }
    }
    for accepted in &evidence.notes.batches {
        let name = &accepted.name;
        let runs = members.get(&witness::id(name)).map(Vec::as_slice).unwrap_or_default();
        let batch = match evidence.batch_answers.get(name) {
            Some(Ok(batch)) => batch,
            Some(Err(error)) => {
                findings.push(format!("batch: {name} was accepted, and the service does not know it: {error}"));
                continue;
            }
            None => {
                findings.push(format!("batch: {name} was accepted, and nobody asked for it"));
                continue;
            }
        };
        let mut told = state(evidence, batch);
        told.extend(membership(evidence, accepted, batch, runs));
        told.extend(counts(batch, runs));
        told.extend(joins(&rows, runs));
        told.extend(refusals(batch, runs, &placed));
        if accepted.is_guarded {
            let alone: Vec<&Row> = runs.iter().filter(|run| !joined.contains(&run.id)).copied().collect();
            told.extend(guards(batch, &alone, writes));
        }
        findings.extend(told.into_iter().map(|words| format!("batch: {name} {words}")));
    }
    findings
}

/// What was accepted is what is in the table.
fn on_record(evidence: &Evidence) -> Vec<String> {
    let mut findings = Vec::new();
    let (mut promised, mut requests) = (HashSet::new(), HashMap::new());
    for accepted in &evidence.notes.batches {
        let (name, request) = (&accepted.name, &accepted.request_id);
        if !promised.insert(witness::id(name)) {
            findings.push(format!("batch: {name} was the answer to two requests"));
        }
        match evidence.batches.iter().find(|batch| batch.id == witness::id(name)) {
            None => findings.push(format!("batch: {name} was accepted, and has no row")),
            Some(batch) if batch.request_id.as_ref() != Some(request) => {
                findings.push(format!("batch: {name} is not the batch that {request} asked for"));
            }
            Some(_) => {}
        }
    }
    for batch in &evidence.batches {
        let id = batch.id;
        if let Some(other) = requests.insert(&batch.request_id, id) {
            findings.push(format!("batch: request {:?} made two batches, {other} and {id}", batch.request_id));
        }
        if !promised.contains(&id) {
            findings.push(format!("batch: {id} has a row, and nobody was told"));
        }
        if batch.ended_at.is_none() {
            findings.push(format!("batch: {id} has not ended"));
        }
        if evidence.seen.batches.get(&id).is_some_and(|seen| *seen != batch.fingerprint) {
            findings.push(format!("batch: {id} had ended, and has changed since"));
        }
    }
    for run in &evidence.left_alone {
        findings.push(format!("batch: run {run} was left alone when its batch was cancelled"));
    }
    if evidence.batches_to_do > 0 {
        findings.push(format!("batch: {} are over, and there is something to do of them", evidence.batches_to_do));
    }
    findings
}

/// A batch that was still under way when it was cancelled ends so, and no other does.
fn state(evidence: &Evidence, batch: &Batch) -> Vec<String> {
    let cancels = evidence.notes.batch_cancels.iter().filter(|cancel| cancel.name == batch.name);
    let is_over = |state: &BatchState| matches!(state, BatchState::Completed | BatchState::Cancelled);
    let mut findings = Vec::new();
    let mut is_cancelled = false;
    for cancel in cancels {
        is_cancelled |= cancel.answer != BatchState::Completed;
        if is_over(&cancel.answer) && cancel.answer != batch.state {
            findings.push(format!("was {} when it was to be cancelled, and is {} now", cancel.answer, batch.state));
        }
    }
    let expected = if is_cancelled { BatchState::Cancelled } else { BatchState::Completed };
    if batch.state != expected {
        findings.push(format!("should be {expected}, and is {} now", batch.state));
    }
    findings
}

/// Exactly its tenants, each once. Where it was cancelled, some may have none.
fn membership(evidence: &Evidence, accepted: &AcceptedBatch, batch: &Batch, runs: &[&Row]) -> Vec<String> {
    let mut findings = Vec::new();
    let tenants = evidence.tenants.iter().filter(|tenant| tenant.address.organization == accepted.organization);
    let mut left: BTreeMap<&str, u32> = tenants.map(|tenant| (tenant.address.tenant.as_str(), 0)).collect();
    if usize::try_from(batch.tenant_count) != Ok(left.len()) {
        findings.push(format!("touches {} tenants, and there are {}", batch.tenant_count, left.len()));
    }
    for run in runs {
        match left.get_mut(run.tenant.as_str()) {
            Some(count) => *count += 1,
            None => findings.push(format!("has a run of {}, which is none of its tenants", run.tenant)),
        }
    }
    for (tenant, count) in left {
        if count > 1 {
            findings.push(format!("has {count} runs of {tenant}"));
        }
        if count == 0 && batch.state != BatchState::Cancelled {
            findings.push(format!("has no run of {tenant}"));
        }
    }
    findings
}

/// What it counts is what a count of its runs says.
fn counts(batch: &Batch, runs: &[&Row]) -> Vec<String> {
    let number = |is_one: &dyn Fn(&Row) -> bool| runs.iter().filter(|run| is_one(run)).count() as i64;
    let sum = |of: fn(&Row) -> i64| runs.iter().map(|run| of(run)).sum::<i64>();
    let has_joined = |run: &Row| run.state == "skipped" && run.reason.as_deref() == Some("JOINED");
    let unmade = batch.tenant_count - runs.len() as i64;
    let pairs = [
        ("pending", batch.pending_count, 0),
        ("queued", batch.queued_count, number(&|run| run.state == "queued")),
        ("running", batch.running_count, number(&|run| run.state == "running")),
        ("succeeded", batch.succeeded_count, number(&|run| run.state == "succeeded")),
        ("failed", batch.failed_count, number(&|run| run.state == "failed")),
        ("skipped", batch.skipped_count, number(&|run| run.state == "skipped" && !has_joined(run))),
        ("joined", batch.joined_count, number(&has_joined)),
        ("cancelled", batch.cancelled_count, unmade + number(&|run| run.state == "cancelled")),
        ("out of sync", batch.out_of_sync_count, number(&|run| run.out_of_sync)),
        ("categories created", batch.change_counts.created, sum(|run| run.created)),
        ("categories updated", batch.change_counts.updated, sum(|run| run.updated)),
        ("categories deleted", batch.change_counts.deleted, sum(|run| run.deleted)),
    ];
    let wrong = pairs.into_iter().filter(|(_, says, counted)| says != counted);
    wrong.map(|(what, says, counted)| format!("counts {says} {what}, and there are {counted}")).collect()
}

/// A run that was not carried out beside a live one names that: another one of the same tenant, which was carried out.
fn joins(rows: &HashMap<Uuid, &Row>, runs: &[&Row]) -> Vec<String> {
    // Whoever was not carried out because of the kill switch did not join anything.
    let is_join = |run: &Row| run.state == "skipped" && run.reason.as_deref() != Some("FEATURE_DISABLED");
    let names_another = |run: &Row| {
        let named = run.error.as_ref().and_then(|error| error["metadata"]["run"].as_str()).map(witness::id);
        let other = named.and_then(|id| rows.get(&id));
        other.is_some_and(|other| other.tenant == run.tenant && other.batch != run.batch && !is_join(other))
    };
    let skipped = runs.iter().filter(|run| is_join(run) && !names_another(run));
    skipped.map(|run| format!("has a run of {} that joined nothing: {}", run.tenant, run.id)).collect()
}

/// A run is refused by a guard that holds for its batch, and when as many were let through as may.
fn refusals(batch: &Batch, runs: &[&Row], placed: &HashSet<Uuid>) -> Vec<String> {
    let tenants = usize::try_from(batch.tenant_count).unwrap_or_default();
    let batch_write_reserved = runs.iter().filter(|run| placed.contains(&run.id)).count();
    let is_right = |run: &Row| {
        let rule = run.error.as_ref().and_then(|error| error["metadata"]["rule"].as_str());
        match rule {
            Some("batch_tenants") => tenants >= GUARDED_FROM && batch_write_reserved == tenants * CHANGES / 100,
            Some("batch_primary") => batch_write_reserved >= tenants * PRIMARIES / 100,
            _ => false,
        }
    };
    let refused = runs.iter().filter(|run| run.reason.as_deref() == Some("GUARD") && !is_right(run));
    refused.map(|run| format!("let {batch_write_reserved} runs through, and refused {}", run.id)).collect()
}

/// A run that a single call has joined is that call's, too: no guard of its batch holds for it.
pub(super) fn joined(evidence: &Evidence) -> HashSet<Uuid> {
    let accepted = evidence.notes.accepted.iter().filter(|accepted| accepted.joined);
    accepted.map(|accepted| witness::id(&accepted.name)).collect()
}

/// Of 20 tenants or more a batch changes 20 in a hundred, and of any number 5 in a hundred primary categories.
fn guards(batch: &Batch, runs: &[&Row], writes: &[Write<'_>]) -> Vec<String> {
    let ids: HashSet<Uuid> = runs.iter().map(|run| run.id).collect();
    let of_batch = || writes.iter().filter(|write| ids.contains(&write.run));
    let changes: HashSet<Uuid> = of_batch().map(|write| write.run).collect();
    let changes_primary = |write: &&Write<'_>| {
        let (before, after) = (write.announced.observed(), write.patch.set.as_ref());
        before.zip(after).is_some_and(|(before, after)| !before.has_primary_of(after))
    };
    let primaries: HashSet<Uuid> = of_batch().filter(changes_primary).map(|write| write.run).collect();
    let tenants = usize::try_from(batch.tenant_count).unwrap_or_default();
    let mut findings = Vec::new();
    if tenants >= GUARDED_FROM && changes.len() > tenants * CHANGES / 100 {
        findings.push(format!("changed more tenants than it may: {} of {tenants}", changes.len()));
    }
    if primaries.len() > tenants * PRIMARIES / 100 {
        findings.push(format!("changed more primary categories than it may: {} of {tenants}", primaries.len()));
    }
    findings
}
