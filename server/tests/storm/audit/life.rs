//! A run's life, as the journal has it: legal steps only, one live run a tenant, and nobody touches what another one holds.

use std::collections::HashMap;

use uuid::Uuid;

use crate::{
    evidence::Evidence,
    journal::{Entry, Side},
};

/// Goes through the journal once.
pub(super) fn check(evidence: &Evidence) -> Vec<String> {
    let mut findings = Vec::new();
    // The live run of each tenant, and the process that claimed each run last.
    let mut live: HashMap<&str, Uuid> = HashMap::new();
    let mut holders: HashMap<Uuid, &Option<String>> = HashMap::new();
    for entry in &evidence.journal {
        if let Some(problem) = problem(entry, holders.get(&entry.run).copied()) {
            findings.push(format!("life: run {} of {}, at {}: {problem}", entry.run, entry.tenant, entry.at));
        }
        let Some(after) = &entry.after else { continue };
        if claims(entry) {
            holders.insert(entry.run, &entry.process);
        }
        if after.is_live() {
            if let Some(other) = live.insert(&entry.tenant, entry.run).filter(|other| *other != entry.run) {
                findings.push(format!(
                    "life: {} had two live runs at {}, {other} and {}",
                    entry.tenant, entry.at, entry.run
                ));
            }
        } else if live.get(entry.tenant.as_str()) == Some(&entry.run) {
            live.remove(entry.tenant.as_str());
        }
    }
    findings
}

/// Whether an attempt begins.
fn claims(entry: &Entry) -> bool {
    let attempt = |side: &Option<Side>| side.as_ref().map_or(0, |side| side.attempt);
    attempt(&entry.after) > attempt(&entry.before)
}

/// What is wrong with one step of a run that `holder` claimed last.
fn problem(entry: &Entry, holder: Option<&Option<String>>) -> Option<String> {
    let Some(after) = &entry.after else { return Some("it was deleted".to_owned()) };
    let Some(before) = &entry.before else {
        let is_new = after.state == "queued" && after.attempt == 0;
        return (!is_new).then(|| format!("it began its life {}, at attempt {}", after.state, after.attempt));
    };
    let step = format!("from {} to {}", before.state, after.state);
    if !before.is_live() {
        return Some(format!("it had ended, and changed {step}"));
    }
    if after.revision < before.revision || (after.state != before.state && after.revision == before.revision) {
        return Some(format!("its revision went from {} to {} {step}", before.revision, after.revision));
    }
    if before.cancel_requested && !after.cancel_requested {
        return Some(format!("it was to be cancelled, and is not any more {step}"));
    }
    if entry.marks_as_cancelled() || entry.marks_as_joined() {
        return None;
    }
    if after.state == "cancelled" && !after.cancel_requested {
        return Some(format!("nobody wanted it cancelled, and it went {step}"));
    }
    let has_expired = before.lease_expires_at.is_none_or(|until| until < entry.began);
    if claims(entry) {
        let is_free = before.state == "queued" || has_expired;
        let is_next = after.attempt == before.attempt + 1 && after.state == "running";
        return (!is_free || !is_next)
            .then(|| format!("it was claimed {step} while somebody held it, or twice at once"));
    }
    if after.attempt < before.attempt || after.uncounted_attempts < before.uncounted_attempts {
        return Some(format!("its attempts were forgotten {step}"));
    }
    if before.state != "running" {
        let is_cancelled = after.state == "cancelled";
        if is_cancelled && before.intent.is_some() {
            return Some(format!("it went {step}, and nobody knew what had become of its write"));
        }
        return (after.state != before.state && !is_cancelled).then(|| format!("it went {step} without a claim"));
    }
    // Only the holder touches a running run; when the lease is over, anybody may queue it again.
    let is_holders = holder.is_some_and(|holder| *holder == entry.process);
    let is_rescue =
        has_expired && after.state != "running" && after.uncounted_attempts == before.uncounted_attempts + 1;
    if !is_holders && !is_rescue {
        let name = |process: Option<&Option<String>>| process.and_then(Option::as_deref).unwrap_or("nobody").to_owned();
        let (who, whose) = (name(Some(&entry.process)), name(holder));
        return Some(format!("{who} took it {step} while {whose} held it"));
    }
    let is_announced = after.state == "running" && after.intent.is_some() && after.intent != before.intent;
    if before.cancel_requested && is_announced {
        return Some("an attempt announced a write after the run was to be cancelled".to_owned());
    }
    if entry.begins_to_write().is_some() && has_expired {
        return Some("an attempt whose lease had ended announced a write, and was allowed to".to_owned());
    }
    None
}
