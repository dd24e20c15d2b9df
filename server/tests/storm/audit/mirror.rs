//! What the locations went through: every step is a write of a run that tells of it, or an edit of the owner, and the last is what is
//! desired.

use std::collections::{HashMap, HashSet};

use category_mirror_client::Strategy;
use chrono::{DateTime, Utc};

use super::writes::Write;
use crate::{
    evidence::{Evidence, Row, Tenant},
    record::Edit,
    set::Set,
};

/// One step of a location.
enum Step<'a> {
    Edit(&'a Edit),
    Write(&'a Write<'a>),
}

/// Replays every location.
pub(super) fn check(evidence: &Evidence, writes: &[Write<'_>]) -> Vec<String> {
    let mut findings = Vec::new();
    let written: HashMap<_, _> = evidence.rows.iter().map(|row| (row.id, &row.written)).collect();
    let mut wrote = HashSet::new();
    for tenant in &evidence.tenants {
        let is_troubled = tenant.address.is_troubled();
        let steps = steps(evidence, writes, tenant);
        let is_late = |(_, step): &(_, Step<'_>)| matches!(step, Step::Write(write) if write.late.is_some());
        // A late write mixes with those of the next run: what they say of each other is no evidence then. Nor is it where the owner edits
        // while a run is live; what such a run tells is looked at elsewhere.
        let is_clear = !is_troubled && !steps.iter().any(is_late);
        let mut now = tenant.address.initial.clone();
        for (at, step) in &steps {
            let after = match step {
                Step::Edit(edit) => edit.set.clone(),
                Step::Write(write) => {
                    let at = format!("at {at}, run {} wrote to {}", write.run, tenant.address.tenant);
                    if is_clear && write.announced.observed().as_ref() != Some(&now) {
                        findings.push(format!("mirror: {at}, where it had seen something else than {now}"));
                    }
                    let after = write.patch.set.clone().unwrap_or_else(|| now.clone());
                    let told = written.get(&write.run).and_then(|changes| now.changed_by(changes));
                    if is_clear && told.as_ref() != Some(&after) {
                        findings.push(format!("mirror: {at}, from {now} to {after}, and tells otherwise"));
                    }
                    if is_clear && !wrote.insert(write.run) {
                        findings.push(format!("mirror: {at}, not for the first time"));
                    }
                    after
                }
            };
            now = after;
        }
        if !is_troubled && tenant.shown.as_ref() != Some(&now) {
            let shown = tenant.shown.as_ref().map(Set::to_string).unwrap_or_default();
            findings.push(format!("mirror: {} has {shown}, and its steps end with {now}", tenant.address.location));
        }
        let is_last_late = steps.last().is_some_and(is_late);
        if tenant.shown != tenant.desired && !is_last_late {
            let desired = tenant.desired.as_ref().map(Set::to_string).unwrap_or_default();
            let shown = tenant.shown.as_ref().map(Set::to_string).unwrap_or_default();
            findings.push(format!("mirror: {} should have {desired}, and has {shown}", tenant.address.tenant));
        }
        if !is_clear {
            wrote.extend(steps.iter().filter_map(|(_, step)| match step {
                Step::Write(write) => Some(write.run),
                Step::Edit(_) => None,
            }));
        }
    }
    // What is told of the platform's side is looked at elsewhere.
    let writes_there = |row: &&Row| row.strategy == Strategy::PlatformToGbp.to_string();
    let tells = |row: &&Row| row.written != serde_json::json!([]) && !wrote.contains(&row.id);
    let troubled: HashSet<&str> = evidence
        .tenants
        .iter()
        .filter(|tenant| tenant.address.is_troubled())
        .map(|tenant| tenant.address.tenant.as_str())
        .collect();
    let is_clear = |row: &&Row| !troubled.contains(row.tenant.as_str());
    for row in evidence.rows.iter().filter(writes_there).filter(is_clear).filter(tells) {
        findings.push(format!("mirror: run {} tells of a write that Google knows nothing of", row.id));
    }
    findings
}

/// In the order in which they took effect.
fn steps<'a>(evidence: &'a Evidence, writes: &'a [Write<'a>], tenant: &Tenant) -> Vec<(DateTime<Utc>, Step<'a>)> {
    let edits = evidence.notes.edits.iter().filter(|edit| edit.location == tenant.address.location);
    let writes = writes.iter().filter(|write| write.patch.location == tenant.address.location);
    let writes = writes.filter_map(|write| Some((write.patch.took_effect?, Step::Write(write))));
    let mut steps: Vec<_> = edits.map(|edit| (edit.at, Step::Edit(edit))).chain(writes).collect();
    steps.sort_by_key(|(at, _)| *at);
    steps
}
