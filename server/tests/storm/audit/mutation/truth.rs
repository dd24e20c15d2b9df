//! Lies about what runs tell of their writes: of the owner's edits, of none, of an end that says otherwise. What a late write or an unresolved
//! one excuses differs from storm to storm, so most lie about all.

use serde_json::{Value, json};

use super::Forgery;
use crate::evidence::{Evidence, Row};

pub(super) const FORGERIES: [Forgery; 12] = [
    ("says nothing of its write", |evidence| wrote(evidence).map(|row| row.written = json!([])).last()),
    // An unresolved write excuses silence about itself only.
    ("says nothing of its write", |evidence| {
        let mutate = |row: &mut Row| {
            let plan = row.plan.take().unwrap_or_default();
            row.intent = Some(json!({ "before": plan["observed"], "after": plan["observed"] }));
            (row.written, row.plan, row.state) = (json!([]), Some(plan), "failed".to_owned());
        };
        wrote(evidence).map(mutate).last()
    }),
    ("tells of something else than its own writes", |evidence| {
        let more = json!({ "after": { "role": "additional", "category": { "gcid": "gcid:zoo" } } });
        wrote(evidence).map(|row| row.written.as_array_mut().expect("a list").push(more.clone())).last()
    }),
    ("which are none", |evidence| {
        let written = wrote(evidence).next()?.written.clone();
        let idle = evidence.rows.iter_mut().filter(|row| !row.dry_run && row.written == json!([]));
        idle.map(|row| row.written = written.clone()).last()
    }),
    ("is skipped (no reason), though its write took effect", |evidence| {
        wrote(evidence).map(|row| (row.state, row.reason) = ("skipped".to_owned(), None)).last()
    }),
    ("is cancelled (no reason), though its write took effect", |evidence| {
        wrote(evidence).map(|row| (row.state, row.reason) = ("cancelled".to_owned(), None)).last()
    }),
    ("has an unresolved write, and is succeeded", |evidence| {
        let mut rows = evidence.rows.iter_mut().filter(|row| !row.dry_run && row.strategy == "platform_to_gbp");
        rows.find(|row| row.state == "succeeded")?.intent = Some(json!({}));
        Some(())
    }),
    ("has written, and its plan is empty", |evidence| {
        wrote(evidence).filter_map(|row| row.plan.as_mut()).map(|plan| plan["changes"] = json!([])).last()
    }),
    ("has written, and its plan is empty", |evidence| wrote(evidence).map(|row| row.plan = None).last()),
    ("has written, and found no difference", |evidence| wrote(evidence).map(|row| row.out_of_sync = false).last()),
    (", and has written from", |evidence| {
        let plans = wrote(evidence).filter(|row| row.state == "succeeded").filter_map(|row| row.plan.as_mut());
        plans.map(|plan| plan["desired"] = plan["observed"].clone()).last()
    }),
    ("categories, and may remove", |evidence| {
        let is_removal = |change: &Value| change["after"] == Value::Null;
        let removes = |row: &mut Row| row.written.as_array().is_some_and(|changes| changes.iter().any(is_removal));
        let is_any = wrote(evidence).any(removes);
        evidence.removals = 0;
        is_any.then_some(())
    }),
];

/// The runs that tell of a write to Google.
fn wrote(evidence: &mut Evidence) -> impl Iterator<Item = &mut Row> {
    let rows = evidence.rows.iter_mut();
    rows.filter(|row| row.strategy == "platform_to_gbp" && row.written != json!([]))
}
