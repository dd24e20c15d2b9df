//! Whom a write reaches: the location that its tenant has then, and no other; and from the platform's side, the categories of that location.

use std::collections::HashMap;

use category_mirror_client::Strategy;
use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::writes::Write;
use crate::{
    evidence::{Evidence, Row},
    platform::recorded,
    set::Set,
    settings::location_at,
};

/// Looks where each write went, and where what the platform got came from.
pub(super) fn check(evidence: &Evidence, writes: &[Write<'_>]) -> Vec<String> {
    let mut findings = reached(evidence, writes);
    findings.extend(adopted(evidence, writes));
    findings.extend(left(evidence, writes));
    findings
}

/// No write reaches a location that its tenant does not have.
fn reached(evidence: &Evidence, writes: &[Write<'_>]) -> Vec<String> {
    let mut findings = Vec::new();
    // What was sent by a process that had been stopped may come at any time.
    for write in writes.iter().filter(|write| write.late.is_none()) {
        let Some(at) = write.patch.took_effect else { continue };
        let (location, tenant) = (&write.patch.location, write.tenant);
        let has = location_at(&evidence.bindings, tenant, at);
        if has != Some(location) {
            let is_others = |name: &&str| location_at(&evidence.bindings, name, at) == Some(location);
            let mut others = evidence.tenants.iter().map(|tenant| tenant.address.tenant.as_str());
            let whose = others.find(is_others).unwrap_or("nobody");
            let has = has.unwrap_or("none");
            findings.push(format!(
                "places: run {} of {tenant} wrote to locations/{location} at {at}, which is not its location by then: that is {has}, \
                 and this one belongs to {whose}",
                write.run
            ));
        }
    }
    findings
}

/// What a run wrote to the platform is what the tenant's location had, between the begin of its attempt and the write.
fn adopted(evidence: &Evidence, writes: &[Write<'_>]) -> Vec<String> {
    let rows: HashMap<Uuid, &Row> = evidence.rows.iter().map(|row| (row.id, row)).collect();
    let mut claims: HashMap<(Uuid, i32), DateTime<Utc>> = HashMap::new();
    let mut findings = Vec::new();
    for entry in &evidence.journal {
        if let Some(after) = &entry.after {
            claims.entry((entry.run, after.attempt)).or_insert(entry.at);
        }
        let (Some(record), Some(row)) = (recorded(entry), rows.get(&entry.run)) else { continue };
        let is_revert = row.options.as_ref().is_some_and(|options| options["revert_of"] != Value::Null);
        if row.strategy != Strategy::GbpToPlatform.to_string() || is_revert {
            continue;
        }
        let turn = evidence.platform.iter().find(|turn| turn.xid == entry.xid && turn.tenant == entry.tenant);
        let Some(wrote) = turn.and_then(|turn| turn.set()) else { continue };
        let location = location_at(&evidence.bindings, &entry.tenant, entry.at).unwrap_or("none");
        let from = claims[&(entry.run, record.after.attempt)];
        if !states(evidence, writes, location, from, entry.at).contains(&&wrote) {
            findings.push(format!(
                "places: run {} gave {} the categories {wrote}, and its location {location} had others since {from}",
                entry.run, entry.tenant
            ));
        }
    }
    findings
}

/// Every state that a location had in a span.
fn states<'a>(
    evidence: &'a Evidence,
    writes: &'a [Write<'_>],
    location: &str,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Vec<&'a Set> {
    let effects = effects(evidence, writes, location);
    let first = effects.iter().rposition(|(at, _)| at.is_none_or(|at| at <= from)).unwrap_or_default();
    let rest = effects.into_iter().skip(first);
    rest.filter(|(at, _)| at.is_none_or(|at| at <= to)).map(|(_, set)| set).collect()
}

/// What a location had in the beginning, and each time that it changed, in order.
fn effects<'a>(
    evidence: &'a Evidence,
    writes: &'a [Write<'_>],
    location: &str,
) -> Vec<(Option<DateTime<Utc>>, &'a Set)> {
    let spots = evidence.spots.iter().filter(|spot| spot.location == location).map(|spot| (None, &spot.initial));
    let edits = evidence.notes.edits.iter().filter(|edit| edit.location == location);
    let edits = edits.map(|edit| (Some(edit.at), &edit.set));
    let writes = writes.iter().map(|write| write.patch).filter(|patch| patch.location == location);
    let writes = writes.filter_map(|patch| Some((Some(patch.took_effect?), patch.set.as_ref()?)));
    let mut effects: Vec<_> = spots.chain(edits).chain(writes).collect();
    effects.sort_by_key(|(at, _)| *at);
    effects
}

/// Each location has in the end what the last write or edit left: there were no others.
fn left(evidence: &Evidence, writes: &[Write<'_>]) -> Vec<String> {
    let mut findings = Vec::new();
    for spot in &evidence.spots {
        let left = effects(evidence, writes, &spot.location).last().map(|(_, set)| *set);
        if spot.shown.as_ref() != left {
            let words = |set: Option<&Set>| set.map(Set::to_string).unwrap_or_default();
            let (shown, left) = (words(spot.shown.as_ref()), words(left));
            findings.push(format!("places: locations/{} has {shown}, and was left with {left}", spot.location));
        }
    }
    findings
}
