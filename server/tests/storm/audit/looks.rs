//! A dry run writes nothing and plans what was to be done; its plan is carried out as it was made, or not at all, for the named reason.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use super::writes::Write;
use crate::{
    ask::{Deed, Sides, ends_of},
    evidence::{Evidence, Row},
    google::Patch,
    record::Accepted,
    witness,
};

/// What careful callers saw and asked for, and what came of it.
pub(super) struct Looks<'a> {
    /// The runs.
    pub(super) rows: HashMap<Uuid, &'a Row>,
    accepted: HashMap<Uuid, &'a Accepted>,
    /// Where each tenant is.
    locations: HashMap<&'a str, &'a str>,
    late: Vec<&'a Patch>,
}

impl<'a> Looks<'a> {
    /// All looks there were.
    pub(super) fn of(evidence: &'a Evidence, writes: &'a [Write<'a>]) -> Self {
        let accepted = evidence.notes.accepted.iter();
        let addresses = evidence.tenants.iter().map(|tenant| &tenant.address);
        let late = writes.iter().filter(|write| write.late.is_some());
        Self {
            rows: evidence.rows.iter().map(|row| (row.id, row)).collect(),
            accepted: accepted.map(|accepted| (witness::id(&accepted.name), accepted)).collect(),
            locations: addresses.map(|address| (address.tenant.as_str(), address.location.as_str())).collect(),
            late: late.map(|write| write.patch).collect(),
        }
    }

    /// What was asked for with the answer that this run, by its name, is it.
    pub(super) fn accepted(&self, run: &str) -> Option<&'a Accepted> {
        self.accepted.get(&witness::id(run)).copied()
    }

    /// Whether the sides were only what the storm saw, until the run ended: no late write took effect meanwhile.
    pub(super) fn is_clear(&self, row: &Row, sides: &Sides) -> bool {
        let is_between = |at: DateTime<Utc>| sides.at <= at && row.ended_at.is_none_or(|end| at <= end);
        let location = self.locations.get(row.tenant.as_str()).copied().unwrap_or_default();
        !self.late.iter().any(|patch| patch.location == location && patch.took_effect.is_some_and(is_between))
    }
}

/// Compares what careful callers saw and asked for with what came of it.
pub(super) fn check(evidence: &Evidence, writes: &[Write<'_>]) -> Vec<String> {
    let looks = Looks::of(evidence, writes);
    let mut findings = dry_runs(evidence, writes, &looks);
    for accepted in &evidence.notes.accepted {
        let Some(row) = looks.rows.get(&witness::id(&accepted.name)) else { continue };
        if !accepted.ask.is_met_by(row) {
            findings.push(format!("look: {} is another kind of run than was asked for", shown(row)));
            continue;
        }
        let Some(sides) = accepted.sides.as_ref().filter(|sides| looks.is_clear(row, sides)) else { continue };
        let problem = match &accepted.ask.deed {
            Deed::Mirror if row.state == "succeeded" => wrong_way(row, accepted, sides),
            Deed::Mirror | Deed::Revert(_) => None,
            Deed::Rehearse => plan(row, accepted, sides),
            Deed::Apply(dry_run) => match looks.accepted(dry_run).and_then(|dry| dry.sides.as_ref()) {
                Some(planned) => application(row, accepted, sides, planned),
                None => Some("applies a plan that nobody asked for".to_owned()),
            },
        };
        findings.extend(problem.map(|words| format!("look: {} {words}", shown(row))));
    }
    findings
}

/// A dry run is under way for a while, tells of no write, has announced none, and nothing else came to its location meanwhile.
fn dry_runs(evidence: &Evidence, writes: &[Write<'_>], looks: &Looks<'_>) -> Vec<String> {
    let mut findings = Vec::new();
    let mut spans: HashMap<Uuid, (DateTime<Utc>, DateTime<Utc>)> = HashMap::new();
    let dry: HashMap<Uuid, &Row> = evidence.rows.iter().filter(|row| row.dry_run).map(|row| (row.id, row)).collect();
    for entry in evidence.journal.iter().filter(|entry| dry.contains_key(&entry.run)) {
        spans.entry(entry.run).or_insert((entry.at, entry.at)).1 = entry.at;
        if entry.after.as_ref().is_some_and(|after| after.intent.is_some()) {
            findings.push(format!("look: dry run {} of {} set out to write", entry.run, entry.tenant));
        }
    }
    for row in dry.values() {
        if row.written != json!([]) {
            findings.push(format!("look: {} was only to plan, and tells of a write", shown(row)));
        }
        let (Some((from, to)), Some(location)) = (spans.get(&row.id), looks.locations.get(row.tenant.as_str())) else {
            continue;
        };
        // What had been stopped on its way to Google may come at any time: whose it is was found out elsewhere.
        let came = |write: &&Write<'_>| {
            let patch = write.patch;
            patch.location == *location && write.late.is_none() && *from < patch.received && patch.received < *to
        };
        for write in writes.iter().filter(came) {
            let at = write.patch.received;
            findings.push(format!("look: {} was under way when a write came, at {at}", shown(row)));
        }
    }
    findings
}

/// What is wrong with a plan that was made while the sides were these.
fn plan(row: &Row, accepted: &Accepted, sides: &Sides) -> Option<String> {
    if row.state == "cancelled" || is_switched_off(row) {
        return None;
    }
    let (source, target) = sides.way(accepted.ask.strategy);
    let planned = row.plan.as_ref();
    let Some((observed, desired)) = planned.and_then(ends_of) else {
        return Some("has made no plan".to_owned());
    };
    if observed != *target || desired != *source {
        return Some(format!("plans from {observed} to {desired}, and the sides were {target} and {source}"));
    }
    let led = planned.and_then(|plan| observed.changed_by(&plan["changes"]));
    (led.as_ref() != Some(&desired)).then(|| format!("plans changes that do not lead from {observed} to {desired}"))
}

/// What is wrong with the carrying out of a plan: the sides are these, and were those when it was made.
fn application(row: &Row, accepted: &Accepted, sides: &Sides, planned: &Sides) -> Option<String> {
    let has_moved = sides.have_moved_since(planned);
    match row.state.as_str() {
        "succeeded" if has_moved => Some("applied a plan that was stale".to_owned()),
        "succeeded" => wrong_way(row, accepted, sides),
        "skipped" if !has_moved && !is_switched_off(row) => {
            Some("called a plan stale of which nothing had moved".to_owned())
        }
        _ if row.written != json!([]) => Some(format!("is {}, and tells of a write", row.state)),
        _ => None,
    }
}

/// What is wrong with what a run wrote that was to lead from one side to the other.
fn wrong_way(row: &Row, accepted: &Accepted, sides: &Sides) -> Option<String> {
    let (source, target) = sides.way(accepted.ask.strategy);
    let after = target.changed_by(&row.written);
    (after.as_ref() != Some(source)).then(|| format!("was to lead from {target} to {source}, and wrote otherwise"))
}

/// Whether a run was not carried out because of the kill switch. Whether that was off is another question.
fn is_switched_off(row: &Row) -> bool {
    row.reason.as_deref() == Some("FEATURE_DISABLED")
}

/// A run in words.
pub(super) fn shown(row: &Row) -> String {
    let dry = if row.dry_run { "dry " } else { "" };
    format!("{dry}run {} of {}", row.id, row.tenant)
}
