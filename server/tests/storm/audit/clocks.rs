//! Runs are in the order in which they were accepted, by the clock of the database, whatever time a server thinks it is.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::{
    evidence::{Evidence, Row},
    journal::Entry,
    record::Clock,
    witness,
};

/// The clocks of the servers are off by more, and no call takes so long.
const TOLERANCE: TimeDelta = TimeDelta::seconds(60);

/// Compares ids, times and the service's own answers with the journal.
pub(super) fn check(evidence: &Evidence) -> Vec<String> {
    let firsts = evidence.journal.iter().enumerate().filter(|(_, entry)| entry.before.is_none());
    let accepted: HashMap<Uuid, (usize, &Entry)> = firsts.map(|(place, entry)| (entry.run, (place, entry))).collect();
    // One server with a wrong clock makes many of these, so only the first is told in full.
    let (mut times, mut ids) = (Vec::new(), Vec::new());
    for row in &evidence.rows {
        let Some((_, entry)) = accepted.get(&row.id) else { continue };
        let is_off = |time: DateTime<Utc>| (time - entry.at).abs() > TOLERANCE;
        if is_off(row.created_at) {
            times.push(format!("run {} at {} instead of {}", row.id, row.created_at, entry.at));
        }
        if let Some(time) = time_of(row.id).filter(|time| is_off(*time)) {
            ids.push(format!("run {}, accepted at {}, of {time}", row.id, entry.at));
        }
    }
    let mut findings = wrong_clocks(evidence);
    if let Some(first) = times.first() {
        let count = times.len();
        findings
            .push(format!("clock: {count} runs were accepted at another time than by the database's clock: {first}"));
    }
    if let Some(first) = ids.first() {
        findings.push(format!("clock: {} ids are of another time than their runs: {first}", ids.len()));
    }
    let mut wrong = Vec::new();
    for tenant in &evidence.tenants {
        let address = &tenant.address;
        let is_its = |row: &&Row| row.tenant == address.tenant && row.strategy == address.strategy.to_string();
        let rows = evidence.rows.iter().filter(is_its).filter_map(|row| Some((accepted.get(&row.id)?.0, row.id)));
        let last = rows.max().map(|(_, id)| id);
        let told = evidence.last_runs.get(&address.tenant).and_then(Option::as_deref).map(witness::id);
        if told != last {
            let words = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
            let (told, last) = (words(told), words(last));
            wrong.push(format!("of {} it is {last}, and the service says {told}", address.tenant));
        }
    }
    if let Some(first) = wrong.first() {
        findings.push(format!("clock: {} tenants have another last run than the service says: {first}", wrong.len()));
    }
    findings
}

/// A server whose clock is right although it was to be wrong has met no trouble.
fn wrong_clocks(evidence: &Evidence) -> Vec<String> {
    let is_wrong = |clock: &Clock, found: i64| (found - clock.wanted).abs() > TOLERANCE.num_seconds();
    let clocks = evidence.notes.clocks.iter().filter_map(|(name, clock)| Some((name, clock, clock.found?)));
    let wrong = clocks.filter(|(_, clock, found)| is_wrong(clock, *found));
    wrong
        .map(|(name, clock, found)| format!("clock: {name} is {found} s fast, and it was to be {}", clock.wanted))
        .collect()
}

/// When an id was made.
fn time_of(id: Uuid) -> Option<DateTime<Utc>> {
    let (seconds, nanos) = id.get_timestamp()?.to_unix();
    DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanos)
}
