//! Lies about what was cancelled.

use category_mirror_client::RunState;
use serde_json::json;

use super::{Forgery, is_end};
use crate::evidence::{Evidence, Row};

pub(super) const FORGERIES: [Forgery; 11] = [
    ("is to be cancelled, and nobody wanted that", |evidence| {
        cancelled(evidence)?;
        evidence.notes.cancels.clear();
        evidence.notes.batch_cancels.clear();
        Some(())
    }),
    ("is cancelled, and was not to be", |evidence| {
        cancelled(evidence)?.cancel_requested = false;
        Some(())
    }),
    ("is cancelled, and tells of a write", |evidence| {
        let written = evidence.rows.iter().find(|row| row.written != json!([]))?.written.clone();
        cancelled(evidence)?.written = written;
        Some(())
    }),
    ("is cancelled, and wrote at", |evidence| {
        for row in evidence.rows.iter_mut().filter(|row| row.written != json!([])) {
            row.state = "cancelled".to_owned();
        }
        Some(())
    }),
    ("was to be cancelled, and is gone", |evidence| {
        let gone = evidence.notes.cancels.first()?.name.clone();
        evidence.rows.retain(|row| !gone.ends_with(&row.id.to_string()));
        Some(())
    }),
    ("had ended succeeded when it was to be", |evidence| {
        let id = cancelled(evidence)?.id.to_string();
        let mut cancels = evidence.notes.cancels.iter_mut();
        cancels.find(|cancel| cancel.name.ends_with(&id))?.answer = RunState::Succeeded;
        Some(())
    }),
    ("was to be cancelled, and that is forgotten", |evidence| {
        let is_live = |answer: &RunState| matches!(answer, RunState::Queued | RunState::Running);
        let name = evidence.notes.cancels.iter().find(|cancel| is_live(&cancel.answer))?.name.clone();
        let row = evidence.rows.iter_mut().find(|row| name.ends_with(&row.id.to_string()))?;
        row.cancel_requested = false;
        Some(())
    }),
    ("it was to be cancelled, and is not any more", |evidence| {
        let mark = evidence.journal.iter_mut().find(|entry| entry.marks_as_cancelled())?;
        let (before, after) = (mark.before.as_mut()?, mark.after.as_mut()?);
        (before.cancel_requested, after.cancel_requested) = (true, false);
        Some(())
    }),
    ("nobody wanted it cancelled", |evidence| {
        let end = evidence.journal.iter_mut().find(|entry| is_end(entry))?;
        let (before, after) = (end.before.as_mut()?, end.after.as_mut()?);
        (before.cancel_requested, after.cancel_requested, after.state) = (false, false, "cancelled".to_owned());
        Some(())
    }),
    ("nobody knew what had become of its write", |evidence| {
        let end = evidence.journal.iter_mut().find(|entry| is_end(entry))?;
        let (before, after) = (end.before.as_mut()?, end.after.as_mut()?);
        (before.state, before.intent) = ("queued".to_owned(), Some(json!({})));
        (after.state, after.cancel_requested) = ("cancelled".to_owned(), true);
        Some(())
    }),
    ("announced a write after the run was to be cancelled", |evidence| {
        let announced = evidence.journal.iter_mut().find(|entry| entry.begins_to_write().is_some())?;
        announced.before.as_mut()?.cancel_requested = true;
        announced.after.as_mut()?.cancel_requested = true;
        Some(())
    }),
];

fn cancelled(evidence: &mut Evidence) -> Option<&mut Row> {
    let asked = evidence.notes.cancels.iter().map(|cancel| cancel.name.clone()).collect::<Vec<_>>();
    let is_one =
        |row: &&mut Row| row.state == "cancelled" && asked.iter().any(|name| name.ends_with(&row.id.to_string()));
    evidence.rows.iter_mut().find(is_one)
}
