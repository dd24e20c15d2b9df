//! Lies about what was taken back. Where a write came late nothing can be said of its tenant, so they lie about all.

use std::collections::HashSet;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Forgery, calm};
use crate::{
    ask::Deed,
    evidence::{Evidence, Row},
    record::{Accepted, Refusal},
    witness,
};

pub(super) const FORGERIES: [Forgery; 8] = [
    ("took back", |evidence| sides_had_moved(evidence)),
    ("was to lead back from", |evidence| {
        reverts(evidence)?.for_each(|row| row.written = json!([]));
        Some(())
    }),
    ("was still there", |evidence| {
        reverts(evidence)?.for_each(|row| row.state = "failed".to_owned());
        Some(())
    }),
    ("took nothing back", |evidence| {
        sides_had_moved(evidence)?;
        reverts(evidence)?.for_each(|row| row.state = "failed".to_owned());
        Some(())
    }),
    ("takes a run back that wrote nothing", |evidence| {
        let (reverted, _) = taken_back(evidence);
        let rows = evidence.rows.iter_mut().filter(|row| reverted.contains(&row.id));
        rows.map(|row| row.written = json!([])).last()
    }),
    ("takes a run back that nobody asked for", |evidence| {
        let (reverted, _) = taken_back(evidence);
        evidence.notes.accepted.retain(|accepted| !reverted.contains(&witness::id(&accepted.name)));
        (!reverted.is_empty()).then_some(())
    }),
    ("was refused, though", |evidence| {
        for accepted in &evidence.notes.accepted {
            if let (Deed::Revert(run), Some(sides)) = (&accepted.ask.deed, &accepted.sides) {
                let (run, request_id, sides) = (run.clone(), accepted.request_id.clone(), sides.clone());
                evidence.notes.refusals.push(Refusal { run, request_id, sides });
            }
        }
        reverts(evidence).map(drop)
    }),
    ("ended failed: NOT_REVERTIBLE", |evidence| {
        let calm = calm(evidence);
        let is_no_revert = |row: &&mut Row| {
            calm.contains(&row.tenant) && row.options.as_ref().is_none_or(|options| options["revert_of"] == Value::Null)
        };
        let row = evidence.rows.iter_mut().find(is_no_revert)?;
        (row.state, row.reason) = ("failed".to_owned(), Some("NOT_REVERTIBLE".to_owned()));
        Some(())
    }),
];

/// The runs that were taken back, and those that did it.
fn taken_back(evidence: &Evidence) -> (HashSet<Uuid>, HashSet<Uuid>) {
    let succeeded = |id: &Uuid| evidence.rows.iter().any(|row| row.id == *id && row.state == "succeeded");
    let way = |accepted: &Accepted| match &accepted.ask.deed {
        Deed::Revert(run) => Some((witness::id(run), witness::id(&accepted.name))),
        _ => None,
    };
    evidence.notes.accepted.iter().filter_map(way).filter(|(_, by)| succeeded(by)).unzip()
}

/// The runs that took another one back; `None`: there are none.
fn reverts(evidence: &mut Evidence) -> Option<impl Iterator<Item = &mut Row>> {
    let (_, by) = taken_back(evidence);
    (!by.is_empty()).then(|| evidence.rows.iter_mut().filter(move |row| by.contains(&row.id)))
}

/// As if somebody had changed both sides before anything was taken back.
fn sides_had_moved(evidence: &mut Evidence) -> Option<()> {
    reverts(evidence).map(drop)?;
    let mut dice = fastrand::Rng::with_seed(1);
    let reverts = evidence.notes.accepted.iter_mut().filter(|accepted| matches!(accepted.ask.deed, Deed::Revert(_)));
    let sides = reverts.filter_map(|accepted| accepted.sides.as_mut());
    sides
        .map(|sides| (sides.platform, sides.google) = (sides.platform.other(&mut dice), sides.google.other(&mut dice)))
        .last()
}
