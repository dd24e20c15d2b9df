//! What a run tells of its writes is what took effect: its own, all of them, and nothing of the owner's. Where it cannot know, it says so.
//!
//! A write is told of where its changes are in `written`. What each write changed follows from its announcement: from what the run had
//! read to what it set out to write. A write that came late may be told of or not, as nobody can know of it.

use std::collections::{BTreeMap, HashMap};

use category_mirror_client::Strategy;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{looks::shown, writes::Write};
use crate::{
    ask::ends_of,
    evidence::{Evidence, Row},
    set::{Set, place},
};

/// Categories in their places, before or after a change, and how often each is told of.
type Places = BTreeMap<(bool, String, String), i32>;

/// A write that a run announced.
struct Announced {
    observed: Set,
    goal: Set,
    kind: Effect,
}

/// Whether an announced write took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// It did, while the run was its attempt's.
    Certain,
    /// It did, and nobody can know of it; or something else did, which looks the same.
    Unknowable,
    /// It did not.
    None,
}

/// Compares what each run tells with what took effect.
pub(super) fn check(evidence: &Evidence, writes: &[Write<'_>]) -> Vec<String> {
    let mut announced = announced(evidence, writes);
    let mut findings = Vec::new();
    let is_there = |row: &&Row| row.strategy == Strategy::PlatformToGbp.to_string() && !row.dry_run;
    for row in evidence.rows.iter().filter(is_there) {
        let announced = announced.remove(&row.id).unwrap_or_default();
        let problems = [
            told(row, &announced),
            end(row, &announced),
            plan(row, &announced),
            removals(&announced, evidence.removals),
        ];
        findings.extend(problems.into_iter().flatten().map(|words| format!("truth: {} {words}", shown(row))));
    }
    findings
}

/// The announced writes of each run, in order.
fn announced(evidence: &Evidence, writes: &[Write<'_>]) -> HashMap<Uuid, Vec<Announced>> {
    let mut own: HashMap<(Uuid, i32), Vec<&Write<'_>>> = HashMap::new();
    let mut late: HashMap<&str, Vec<&Set>> = HashMap::new();
    for write in writes.iter().filter(|write| write.patch.took_effect.is_some()) {
        own.entry((write.run, write.announced.attempt)).or_default().push(write);
        if let Some(set) = write.patch.set.as_ref().filter(|_| !write.is_certain) {
            late.entry(write.tenant).or_default().push(set);
        }
    }
    let mut all: HashMap<Uuid, Vec<Announced>> = HashMap::new();
    for entry in &evidence.journal {
        let Some(side) = entry.begins_to_write() else { continue };
        let (Some(observed), Some(goal)) = (side.observed(), side.goal()) else { continue };
        let own = own.get(&(entry.run, side.attempt)).map(Vec::as_slice).unwrap_or_default();
        let looks_the_same = late.get(entry.tenant.as_str()).is_some_and(|late| late.contains(&&goal));
        let kind = match own {
            own if own.iter().any(|write| write.is_certain) => Effect::Certain,
            own if !own.is_empty() || looks_the_same => Effect::Unknowable,
            _ => Effect::None,
        };
        all.entry(entry.run).or_default().push(Announced { observed, goal, kind });
    }
    all
}

/// What is wrong with what a run tells of its writes.
fn told(row: &Row, announced: &[Announced]) -> Option<String> {
    let told = places_of(&row.written);
    // Of a form that the storm does not know, it may be any.
    let open = row.intent.as_ref().map(|intent| Set::from_row(&intent["after"]));
    // Whether a write has to be told of; `None`: it may be.
    let choices: Vec<(Option<bool>, Places)> = announced
        .iter()
        .map(|write| {
            let is_open = open.as_ref().is_some_and(|goal| goal.as_ref().is_none_or(|goal| *goal == write.goal));
            let must = match write.kind {
                Effect::Certain if is_open => None,
                Effect::Certain => Some(true),
                Effect::Unknowable => None,
                Effect::None => Some(false),
            };
            (must, changes(&write.observed, &write.goal))
        })
        .collect();
    if is_sum(&told, &choices) {
        return None;
    }
    let certain = announced.iter().filter(|write| write.kind == Effect::Certain);
    let certain: Vec<String> = certain.map(|write| format!("from {} to {}", write.observed, write.goal)).collect();
    if row.written == json!([]) {
        return Some(format!("says nothing of its write {}", certain.join(" and ")));
    }
    let own = if certain.is_empty() { "none".to_owned() } else { certain.join(" and ") };
    Some(format!("tells of something else than its own writes, which are {own}: {}", in_words(&told)))
}

/// Whether some of the choices, among them those that have to be, come to just this.
fn is_sum(told: &Places, choices: &[(Option<bool>, Places)]) -> bool {
    let Some(((must, places), rest)) = choices.split_first() else { return told.is_empty() };
    let without = || is_sum(told, rest);
    let with = || is_sum(&minus(told, places), rest);
    match must {
        Some(true) => with(),
        Some(false) => without(),
        None => with() || without(),
    }
}

/// What is wrong with the end of a run that has written, or may have.
fn end(row: &Row, announced: &[Announced]) -> Option<String> {
    let has_written = announced.iter().any(|write| write.kind == Effect::Certain);
    if row.intent.is_some() && row.state != "failed" {
        return Some(format!("has an unresolved write, and is {}", row.state));
    }
    let is_unsaid = matches!(row.state.as_str(), "skipped" | "cancelled");
    (has_written && is_unsaid).then(|| {
        let reason = row.reason.as_deref().unwrap_or("no reason");
        format!("is {} ({reason}), though its write took effect", row.state)
    })
}

/// What is wrong with the plan of a run that has written.
fn plan(row: &Row, announced: &[Announced]) -> Option<String> {
    if !announced.iter().any(|write| write.kind == Effect::Certain) {
        return None;
    }
    let plan = row.plan.as_ref();
    if plan.is_none_or(|plan| plan["changes"] == json!([])) {
        return Some("has written, and its plan is empty".to_owned());
    }
    if !row.out_of_sync {
        return Some("has written, and found no difference".to_owned());
    }
    let [only] = announced.iter().filter(|write| write.kind != Effect::None).collect::<Vec<_>>()[..] else {
        return None;
    };
    let (observed, desired) = plan.and_then(ends_of)?;
    let is_it = row.state != "succeeded" || (&observed, &desired) == (&only.observed, &only.goal);
    (!is_it)
        .then(|| format!("plans from {observed} to {desired}, and has written from {} to {}", only.observed, only.goal))
}

/// What is wrong with how much a run removed in all of its writes together.
fn removals(announced: &[Announced], limit: usize) -> Option<String> {
    let certain = announced.iter().filter(|write| write.kind == Effect::Certain);
    let removed: usize = certain.map(|write| write.observed.lost_in(&write.goal)).sum();
    (removed > limit).then(|| format!("has removed {removed} categories, and may remove {limit}"))
}

/// What a list of changes comes to.
fn places_of(written: &Value) -> Places {
    let mut places = Places::new();
    for change in written.as_array().into_iter().flatten() {
        for (is_after, side) in [(false, "before"), (true, "after")] {
            if let Some((at, name)) = place(&change[side]) {
                *places.entry((is_after, at, name)).or_default() += 1;
            }
        }
    }
    places
}

/// What the way from one set to another comes to.
fn changes(from: &Set, to: &Set) -> Places {
    let (before, after) = (from.places(), to.places());
    let gone = before.difference(&after).map(|(at, name)| (false, at.clone(), name.clone()));
    let new = after.difference(&before).map(|(at, name)| (true, at.clone(), name.clone()));
    gone.chain(new).map(|place| (place, 1)).collect()
}

fn minus(all: &Places, some: &Places) -> Places {
    let mut rest = all.clone();
    for (place, count) in some {
        *rest.entry(place.clone()).or_default() -= count;
    }
    rest.retain(|_, count| *count != 0);
    rest
}

fn in_words(places: &Places) -> String {
    let words = |((is_after, at, name), _): (&(bool, String, String), &i32)| {
        format!("{}{name} ({at})", if *is_after { '+' } else { '-' })
    };
    places.iter().map(words).collect::<Vec<_>>().join(", ")
}
