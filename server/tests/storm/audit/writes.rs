//! Whose each write was, and whether it was begun within the lease.
//!
//! A process announces a write in the run table, looks at its lease, and sends. The look cannot be seen from outside, but it comes after the
//! answer to the announcement, so there is a moment before which it cannot have been: that of the announcement or, where the answer
//! was held back until the process had been stopped and went on, that of going on. An attempt that had no lease at that moment began its
//! write without one. Where it still had it then, and the write came late all the same, the process may have been stopped between the
//! look and the wire: nobody can tell, so that is counted and not judged. A write that is late without any stop is a finding.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    evidence::Evidence,
    fleet::LEASE,
    google::Patch,
    journal::{Entry, Side},
    settings::Binding,
};

/// A patch with the run that it belongs to.
pub(super) struct Write<'a> {
    /// The patch.
    pub(super) patch: &'a Patch,
    /// The run.
    pub(super) run: Uuid,
    /// Whose run it is.
    pub(super) tenant: &'a str,
    /// The run as the patch was announced.
    pub(super) announced: &'a Side,
    /// In words, where it came late.
    pub(super) late: Option<String>,
    /// Whether it came in time, and took effect before anybody else could take the run over: then the run has to tell of it.
    pub(super) is_certain: bool,
}

/// Finds the announcement of every patch. Gives also what is wrong, in words.
pub(super) fn attribute(evidence: &Evidence) -> (Vec<Write<'_>>, Vec<String>) {
    // Whoever had a location at any time may write to it with or without right.
    let mut tenants: HashMap<&str, BTreeSet<&str>> = HashMap::new();
    for tenant in &evidence.tenants {
        tenants.entry(&tenant.address.location).or_default().insert(&tenant.address.tenant);
    }
    for Binding { tenant, location, .. } in &evidence.bindings {
        if let Some(location) = location {
            tenants.entry(location).or_default().insert(tenant);
        }
    }
    let mut announcements: HashMap<(&str, &str), Vec<(&Entry, &Side)>> = HashMap::new();
    let mut histories: HashMap<Uuid, Vec<&Entry>> = HashMap::new();
    for entry in &evidence.journal {
        histories.entry(entry.run).or_default().push(entry);
        if let (Some(process), Some(side)) = (&entry.process, entry.begins_to_write()) {
            announcements.entry((process, &entry.tenant)).or_default().push((entry, side));
        }
    }
    let (mut writes, mut findings) = (Vec::new(), Vec::new());
    let mut used = HashMap::new();
    for patch in &evidence.patches {
        let whom = patch.process.as_deref().unwrap_or("nobody of ours");
        let what = format!("{whom} sent a write to locations/{}, which came at {}", patch.location, patch.received);
        let owners = tenants.get(patch.location.as_str()).into_iter().flatten();
        let announced = owners.filter_map(|tenant| announcements.get(&(whom, tenant))).flatten();
        let announced = announced.filter(|(entry, _)| entry.at <= patch.received);
        // The last one, or that of this very set, where several tenants had the location.
        let last = announced.max_by_key(|(entry, side)| (side.goal() == patch.set, entry.at));
        let Some((entry, side)) = last else {
            findings.push(format!("write: {what}, and had announced none"));
            continue;
        };
        if patch.set.is_none() || side.goal() != patch.set {
            findings.push(format!("write: {what}, and had announced another set"));
        }
        if used.insert((entry.run, side.attempt), ()).is_some() {
            findings.push(format!("write: {what}, a second time in attempt {} of {}", side.attempt, entry.run));
        }
        let history = &histories[&entry.run];
        let mut write =
            Write { patch, run: entry.run, tenant: &entry.tenant, announced: side, late: None, is_certain: false };
        match lateness(evidence, history, entry, side, patch) {
            Lateness::InTime => {}
            Lateness::NobodyKnows => {
                write.late = Some(format!("{what}, {}", since(entry.at, patch.received)));
            }
            Lateness::Begun(how) => {
                findings.push(format!("write: {what}: {how} (attempt {} of {})", side.attempt, entry.run));
                write.late = Some(what);
            }
        }
        write.is_certain =
            write.late.is_none() && patch.took_effect.is_some_and(|at| is_open(history, side.attempt, at));
        writes.push(write);
    }
    (writes, findings)
}

/// How a write stands to its lease.
enum Lateness {
    /// It came while its attempt held the run.
    InTime,
    /// It came later, and may have been begun before.
    NobodyKnows,
    /// It was begun without a lease.
    Begun(String),
}

fn lateness(evidence: &Evidence, history: &[&Entry], entry: &Entry, side: &Side, patch: &Patch) -> Lateness {
    if is_held(history, side.attempt, patch.received) {
        return Lateness::InTime;
    }
    if let Some(end) = let_go(history, entry, side).filter(|end| *end < patch.received) {
        return Lateness::Begun(format!("it had done with the run at {end}"));
    }
    let stops = evidence.notes.stops.iter().filter(|stop| Some(&stop.process) == entry.process.as_ref());
    let (mut earliest, mut was_stopped) = (entry.at, false);
    for stop in stops.filter(|stop| stop.continued > entry.at && stop.stopped < patch.received) {
        was_stopped = true;
        if stop.held_from < entry.at {
            earliest = earliest.max(stop.continued);
        }
    }
    if patch.received < earliest {
        // Nothing leaves a process that stands still.
        return Lateness::NobodyKnows;
    }
    if !is_held(history, side.attempt, earliest) {
        return Lateness::Begun(format!(
            "it cannot have been begun before {earliest}, and the lease had ended by then"
        ));
    }
    let until = side.lease_expires_at.unwrap_or(entry.at);
    if !was_stopped && patch.received > until + LEASE {
        return Lateness::Begun(
            "it came a whole lease after its own had ended, and the process was not stopped".to_owned(),
        );
    }
    Lateness::NobodyKnows
}

/// When the process that announced a write ended its attempt and left nothing open: it knew then what had become of the write, so it can
/// send none any more, however long it is stopped.
fn let_go(history: &[&Entry], announced: &Entry, side: &Side) -> Option<DateTime<Utc>> {
    let is_end = |entry: &&&Entry| {
        let (Some(before), Some(after)) = (&entry.before, &entry.after) else { return false };
        let is_attempts = before.state == "running" && before.attempt == side.attempt && after.state != "running";
        is_attempts && after.intent.is_none() && entry.process == announced.process
    };
    history.iter().find(is_end).map(|entry| entry.at)
}

/// Whether the run was in the hands of this attempt at `time`.
fn is_held(history: &[&Entry], attempt: i32, time: DateTime<Utc>) -> bool {
    let last = history.iter().rev().find(|entry| entry.at <= time);
    last.and_then(|entry| entry.after.as_ref()).is_some_and(|side| side.is_held(attempt, time))
}

/// Whether an attempt has the run at `time`, or has ended it by itself, and no other could have taken it over by then.
fn is_open(history: &[&Entry], attempt: i32, time: DateTime<Utc>) -> bool {
    let last = history.iter().rev().find(|entry| entry.at <= time).and_then(|entry| entry.after.as_ref());
    last.is_some_and(|side| side.attempt == attempt && (side.state != "running" || side.is_held(attempt, time)))
}

fn since(from: DateTime<Utc>, to: DateTime<Utc>) -> String {
    format!("{} ms after it was announced", (to - from).num_milliseconds())
}
