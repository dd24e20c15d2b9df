//! What the tenants had on the platform: every turn is the storm's own, or that of a run whose strategy it is, which holds its lease and tells of
//! it in the same transaction. Where Google wins, nothing is written to Google.

use std::collections::{HashMap, HashSet};

use category_mirror_client::Strategy;
use serde_json::json;
use uuid::Uuid;

use super::writes::Write;
use crate::{
    evidence::{Evidence, Row, Tenant},
    platform::{Recorded, Turn, recorded},
    set::Set,
};

/// Replays the platform's side of every tenant.
pub(super) fn check(evidence: &Evidence, writes: &[Write<'_>]) -> Vec<String> {
    let mut findings = elsewhere(evidence, writes);
    let rows: HashMap<Uuid, &Row> = evidence.rows.iter().map(|row| (row.id, row)).collect();
    let mut records: HashMap<(&str, &str), Recorded<'_>> = HashMap::new();
    for entry in &evidence.journal {
        if let Some(record) = recorded(entry) {
            records.insert((&entry.xid, &entry.tenant), record);
        }
    }
    let mut turns: HashMap<&str, Vec<&Turn>> = HashMap::new();
    for turn in &evidence.platform {
        turns.entry(&turn.tenant).or_default().push(turn);
    }
    let mut wrote = HashSet::new();
    for tenant in &evidence.tenants {
        let name = &tenant.address.tenant;
        let mut now = None;
        for turn in turns.get(name.as_str()).into_iter().flatten() {
            if let Some(process) = &turn.process {
                let record = records.get(&(turn.xid.as_str(), name.as_str()));
                let problem = match record {
                    Some(record) => problem(record, rows.get(&record.run).copied(), now.as_ref(), turn),
                    None => Some("and no run tells of it".to_owned()),
                };
                let twice = record.filter(|record| !wrote.insert(record.run)).map(|_| "a second time".to_owned());
                for words in problem.into_iter().chain(twice) {
                    findings.push(format!("platform: {process} changed {name} at {}, {words}", turn.at));
                }
            }
            now = turn.set();
        }
        if now != tenant.desired {
            let shown = |set: &Option<Set>| set.as_ref().map(Set::to_string).unwrap_or_default();
            findings.push(format!(
                "platform: {name} has {}, and was left with {}",
                shown(&tenant.desired),
                shown(&now)
            ));
        }
    }
    let tells = |row: &&Row| adopts(row) && row.written != json!([]) && !wrote.contains(&row.id);
    for row in evidence.rows.iter().filter(tells) {
        findings.push(format!("platform: run {} tells of a write that the platform knows nothing of", row.id));
    }
    findings
}

/// Whether Google wins by this run.
fn adopts(row: &Row) -> bool {
    row.strategy == Strategy::GbpToPlatform.to_string()
}

/// What is wrong with a turn of a tenant that had `now`, by the run that tells of it.
fn problem(record: &Recorded<'_>, row: Option<&Row>, now: Option<&Set>, turn: &Turn) -> Option<String> {
    let run = record.run;
    if !row.is_some_and(|row| adopts(row) && !row.dry_run) {
        return Some(format!("by run {run}, which was not to write there"));
    }
    if !record.before.is_held(record.after.attempt, record.began) {
        return Some(format!("by run {run}, which it held no longer"));
    }
    if record.before.cancel_requested {
        return Some(format!("by run {run}, which was to be cancelled"));
    }
    let told = now.and_then(|now| now.changed_by(&record.after.written));
    (told != turn.set()).then(|| format!("by run {run}, which tells of something else"))
}

/// Nobody announces a write to Google, or sends one, where Google wins.
fn elsewhere(evidence: &Evidence, writes: &[Write<'_>]) -> Vec<String> {
    let mut findings = Vec::new();
    let adopting: HashSet<Uuid> = evidence.rows.iter().filter(|row| adopts(row)).map(|row| row.id).collect();
    for entry in evidence.journal.iter().filter(|entry| adopting.contains(&entry.run)) {
        if entry.after.as_ref().is_some_and(|after| after.intent.is_some()) {
            let (run, at) = (entry.run, entry.at);
            findings.push(format!("platform: run {run} set out at {at} to write to Google, which wins"));
        }
    }
    for write in writes.iter().filter(|write| adopting.contains(&write.run)) {
        findings.push(format!("platform: run {} wrote to Google, which wins", write.run));
    }
    // Where locations move, another tenant may have it, of another strategy.
    let is_adopter =
        |tenant: &&Tenant| tenant.address.strategy == Strategy::GbpToPlatform && !tenant.address.is_troubled();
    for tenant in evidence.tenants.iter().filter(is_adopter) {
        let location = &tenant.address.location;
        for patch in evidence.patches.iter().filter(|patch| patch.location == *location) {
            findings.push(format!("platform: locations/{location} got a write at {}, and Google wins", patch.received));
        }
    }
    findings
}
