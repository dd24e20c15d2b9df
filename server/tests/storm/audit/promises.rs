//! What was accepted is there, once, and has ended well: with success, or as somebody wanted it.

use std::collections::{HashMap, HashSet};

use category_mirror_client::RunState;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::writes::Write;
use crate::{
    evidence::{Evidence, Row},
    record::AcceptedBatch,
    settings::was_off,
    witness,
};

/// Compares the callers' answers with the table and with what the service says of each run now.
pub(super) fn check(evidence: &Evidence, writes: &[Write<'_>]) -> Vec<String> {
    let mut findings = Vec::new();
    let rows: HashMap<_, _> = evidence.rows.iter().map(|row| (row.id, row)).collect();
    let batches: HashMap<Uuid, &AcceptedBatch> =
        evidence.notes.batches.iter().map(|batch| (witness::id(&batch.name), batch)).collect();
    let mut promised = HashSet::new();
    for accepted in &evidence.notes.accepted {
        let name = &accepted.name;
        if !accepted.joined && !promised.insert(witness::id(name)) {
            findings.push(format!("promise: {name} was the answer to two requests, and neither joined a live run"));
        }
        match evidence.answers.get(name) {
            Some(Ok(state @ (RunState::Queued | RunState::Running))) => {
                findings.push(format!("promise: {name} was accepted, and is {state} now"));
            }
            Some(Ok(state)) => {
                if let Some(row) = rows.get(&witness::id(name)).filter(|row| row.state != state.to_string()) {
                    findings.push(format!("promise: {name} was accepted, is {state}, and {} in the table", row.state));
                }
            }
            Some(Err(error)) => findings.push(format!("promise: {name} was accepted, and is lost: {error}")),
            None => findings.push(format!("promise: {name} was accepted, and nobody asked for it")),
        }
        match rows.get(&witness::id(name)) {
            None => findings.push(format!("promise: {name} was accepted, and is not in the table")),
            Some(row)
                if row.tenant != accepted.tenant
                    || !accepted.joined && row.request_id.as_ref() != Some(&accepted.request_id) =>
            {
                findings.push(format!("promise: {name} is not the run that {} asked for", accepted.request_id));
            }
            Some(_) => {}
        }
    }
    let mut requests = HashMap::new();
    for row in &evidence.rows {
        if let Some(request_id) = &row.request_id
            && let Some(other) = requests.insert(request_id, row.id)
        {
            findings.push(format!("promise: request {request_id} made two runs, {other} and {}", row.id));
        }
        let batch = row.batch.and_then(|batch| batches.get(&batch));
        let is_open = row.request_id.as_ref().is_some_and(|request_id| evidence.notes.left_open.contains(request_id));
        if !promised.contains(&row.id) && batch.is_none() && !is_open {
            findings.push(format!("promise: run {} of {} is in the table, and nobody was told", row.id, row.tenant));
        }
        if row.ended_at.is_none() {
            findings.push(format!("promise: run {} of {} has not ended: {}", row.id, row.tenant, row.state));
        } else if !is_good_end(evidence, row, batch.copied()) && !was_overtaken(row, writes) {
            let reason = row.reason.as_deref().unwrap_or("no reason");
            findings.push(format!("promise: run {} of {} ended {}: {reason}", row.id, row.tenant, row.state));
        }
    }
    for (id, seen) in &evidence.seen.runs {
        if rows.get(id).is_none_or(|row| row.fingerprint != *seen) {
            findings.push(format!("promise: run {id} was seen ended, and is another or gone now"));
        }
    }
    findings
}

/// Whether a run may end like this. Whether a cancelled one was to be is another question.
fn is_good_end(evidence: &Evidence, row: &Row, batch: Option<&AcceptedBatch>) -> bool {
    let is_ordered = |what: &str| row.options.as_ref().is_some_and(|options| options[what].is_string());
    match (row.state.as_str(), row.reason.as_deref()) {
        ("succeeded" | "cancelled", _) => true,
        // Beside a run that cannot promise what the batch asks for.
        ("skipped", Some("JOINED" | "RUN_IN_PROGRESS")) => batch.is_some(),
        ("skipped", Some("FEATURE_DISABLED")) => was_switched_off(evidence, row),
        // Whether it was is another question, too.
        ("skipped", Some("PLAN_STALE")) => is_ordered("applied_plan"),
        ("failed", Some("NOT_REVERTIBLE")) => is_ordered("revert_of"),
        ("failed", Some("GUARD")) => batch.is_some_and(|batch| batch.is_guarded),
        // What trouble may lead to; what the run tells of it is looked at elsewhere.
        ("failed" | "skipped", Some(reason)) => {
            !matches!(reason, "INTERNAL" | "ATTEMPTS_EXHAUSTED") && had_trouble(evidence, row)
        }
        _ => false,
    }
}

/// Whether a run met what another one had written late, between its own write and the look at what became of that.
fn was_overtaken(row: &Row, writes: &[Write<'_>]) -> bool {
    let is_late = |write: &&Write<'_>| !write.is_certain && write.tenant == row.tenant;
    let is_between = |at: DateTime<Utc>| row.created_at <= at && row.ended_at.is_some_and(|end| at <= end);
    let mut late = writes.iter().filter(is_late).filter_map(|write| write.patch.took_effect);
    row.state == "failed" && late.any(is_between)
}

/// Whether the kill switch was off for a run's tenant while it was live.
fn was_switched_off(evidence: &Evidence, row: &Row) -> bool {
    row.ended_at.is_some_and(|end| was_off(&evidence.switches, &row.tenant, row.created_at, end))
}

/// Whether there was trouble for a run's tenant while it was live.
fn had_trouble(evidence: &Evidence, row: &Row) -> bool {
    let Some(end) = row.ended_at else { return false };
    let mut troubles = evidence.notes.troubles.iter().filter(|trouble| trouble.tenants.contains(&row.tenant));
    troubles.any(|trouble| trouble.from <= end && row.created_at <= trouble.to)
}
