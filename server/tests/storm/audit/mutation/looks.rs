//! Lies about what was looked at, planned and applied. Where a write came late nothing can be said of its tenant, so most lie about all.

use serde_json::{Value, json};

use super::{Forgery, calm};
use crate::{
    ask::Deed,
    evidence::{Evidence, Row},
    witness,
};

pub(super) const FORGERIES: [Forgery; 14] = [
    ("is another kind of run than was asked for", |evidence| {
        dry_runs(evidence).next()?.dry_run = false;
        Some(())
    }),
    ("set out to write", |evidence| {
        let id = dry_runs(evidence).next()?.id;
        let entry = evidence.journal.iter_mut().find(|entry| entry.run == id && entry.after.is_some())?;
        entry.after.as_mut()?.intent = Some(json!({}));
        Some(())
    }),
    ("was only to plan, and tells of a write", |evidence| {
        let written = evidence.rows.iter().find(|row| row.written != json!([]))?.written.clone();
        dry_runs(evidence).next()?.written = written;
        Some(())
    }),
    ("was under way when a write came", |evidence| {
        // As if every run that wrote had been a dry one.
        let is_real = evidence.rows.iter().any(|row| row.written != json!([]));
        evidence.rows.iter_mut().for_each(|row| row.dry_run = true);
        is_real.then_some(())
    }),
    ("has made no plan", |evidence| {
        dry_runs(evidence).for_each(|row| row.plan = None);
        has_succeeded(evidence, Deed::is_rehearsal)
    }),
    ("and the sides were", |evidence| {
        for row in dry_runs(evidence) {
            if let Some(plan) = &mut row.plan {
                plan["desired"] = plan["observed"].clone();
            }
        }
        let is_empty = |row: &Row| row.plan.as_ref().is_none_or(|plan| plan["changes"] == json!([]));
        dry_runs(evidence).any(|row| row.state == "succeeded" && !is_empty(row)).then_some(())
    }),
    ("plans changes that do not lead", |evidence| {
        let mut is_any = false;
        for plan in dry_runs(evidence).filter(|row| row.state == "succeeded").filter_map(|row| row.plan.as_mut()) {
            is_any |= std::mem::replace(&mut plan["changes"], Value::Array(Vec::new())) != json!([]);
        }
        is_any.then_some(())
    }),
    ("applied a plan that was stale", |evidence| {
        let stale = asked(evidence, Deed::is_application, "skipped");
        let rows = evidence.rows.iter_mut().filter(|row| stale.contains(&row.id));
        rows.map(|row| row.state = "succeeded".to_owned()).last()
    }),
    ("called a plan stale of which nothing had moved", |evidence| {
        let fresh = asked(evidence, Deed::is_application, "succeeded");
        let rows = evidence.rows.iter_mut().filter(|row| fresh.contains(&row.id));
        rows.map(|row| row.state = "skipped".to_owned()).last()
    }),
    ("ended skipped: PLAN_STALE", |evidence| {
        let calm = calm(evidence);
        let is_plain = |row: &&mut Row| {
            calm.contains(&row.tenant)
                && row.options.as_ref().is_none_or(|options| options["applied_plan"] == Value::Null)
        };
        let row = evidence.rows.iter_mut().find(is_plain)?;
        (row.state, row.reason) = ("skipped".to_owned(), Some("PLAN_STALE".to_owned()));

        Some(())
    }),
    ("applies a plan that nobody asked for", |evidence| {
        let applied = has_succeeded(evidence, Deed::is_application);
        evidence.notes.accepted.retain(|accepted| !accepted.ask.deed.is_rehearsal());
        applied
    }),
    ("and wrote otherwise", |evidence| {
        let applied = asked(evidence, Deed::is_application, "succeeded");
        let rows = evidence.rows.iter_mut().filter(|row| applied.contains(&row.id) && row.written != json!([]));
        rows.map(|row| row.written = json!([])).last()
    }),
    ("was to lead from", |evidence| {
        let looked = evidence.notes.accepted.iter().filter(|accepted| accepted.sides.is_some());
        let ids: Vec<_> = looked.map(|accepted| witness::id(&accepted.name)).collect();
        let mirrored = asked(evidence, |deed| matches!(deed, Deed::Mirror), "succeeded");
        let is_one = |row: &&mut Row| ids.contains(&row.id) && mirrored.contains(&row.id) && row.written != json!([]);
        evidence.rows.iter_mut().filter(is_one).map(|row| row.written = json!([])).last()
    }),
    ("is skipped, and tells of a write", |evidence| {
        let stale = asked(evidence, Deed::is_application, "skipped");
        let written = evidence.rows.iter().find(|row| row.written != json!([]))?.written.clone();
        let rows = evidence.rows.iter_mut().filter(|row| stale.contains(&row.id));
        rows.map(|row| row.written = written.clone()).last()
    }),
];

fn dry_runs(evidence: &mut Evidence) -> impl Iterator<Item = &mut Row> {
    evidence.rows.iter_mut().filter(|row| row.dry_run)
}

/// The runs that were asked for a deed and ended like this.
fn asked(evidence: &Evidence, is_one: fn(&Deed) -> bool, state: &str) -> Vec<uuid::Uuid> {
    let asked = evidence.notes.accepted.iter().filter(|accepted| is_one(&accepted.ask.deed));
    let ids: Vec<_> = asked.map(|accepted| witness::id(&accepted.name)).collect();
    let is_by_switch = |row: &Row| row.reason.as_deref() == Some("FEATURE_DISABLED");
    let rows = evidence.rows.iter().filter(|row| row.state == state && ids.contains(&row.id) && !is_by_switch(row));
    rows.map(|row| row.id).collect()
}

fn has_succeeded(evidence: &Evidence, is_one: fn(&Deed) -> bool) -> Option<()> {
    (!asked(evidence, is_one, "succeeded").is_empty()).then_some(())
}
