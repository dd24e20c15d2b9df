//! What was accepted is there, once, and has ended well.

use std::collections::{HashMap, HashSet};

use category_mirror_client::RunState;

use crate::{evidence::Evidence, witness};

/// Compares the callers' answers with the table and with what the service says of each run now.
pub(super) fn check(evidence: &Evidence) -> Vec<String> {
    let mut findings = Vec::new();
    let rows: HashMap<_, _> = evidence.rows.iter().map(|row| (row.id, row)).collect();
    let mut promised = HashSet::new();
    for accepted in &evidence.notes.accepted {
        let name = &accepted.name;
        if !promised.insert(witness::id(name)) {
            findings.push(format!("promise: {name} was the answer to two requests, and neither joined a live run"));
        }
        match evidence.answers.get(name) {
            Some(Ok(RunState::Succeeded)) => {}
            Some(Ok(state)) => findings.push(format!("promise: {name} was accepted, and is {state} now")),
            Some(Err(error)) => findings.push(format!("promise: {name} was accepted, and is lost: {error}")),
            None => findings.push(format!("promise: {name} was accepted, and nobody asked for it")),
        }
        match rows.get(&witness::id(name)) {
            None => findings.push(format!("promise: {name} was accepted, and is not in the table")),
            Some(row) if row.request_id.as_ref() != Some(&accepted.request_id) || row.tenant != accepted.tenant => {
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
        if !promised.contains(&row.id) {
            findings.push(format!("promise: run {} of {} is in the table, and nobody was told", row.id, row.tenant));
        }
        if row.ended_at.is_none() {
            findings.push(format!("promise: run {} of {} has not ended: {}", row.id, row.tenant, row.state));
        } else if row.state != "succeeded" {
            let reason = row.reason.as_deref().unwrap_or("no reason");
            findings.push(format!("promise: run {} of {} ended {}: {reason}", row.id, row.tenant, row.state));
        }
    }
    for (id, seen) in &evidence.seen {
        if rows.get(id).is_none_or(|row| row.fingerprint != *seen) {
            findings.push(format!("promise: run {id} was seen ended, and is another or gone now"));
        }
    }
    findings
}
