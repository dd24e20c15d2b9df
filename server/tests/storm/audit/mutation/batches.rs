//! Lies about batches.

use category_mirror_client::{Batch, BatchState};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Forgery;
use crate::{
    audit::batches::joined,
    evidence::{Evidence, Row, Tenant},
    record::{AcceptedBatch, Cancel},
    witness,
};

pub(super) const FORGERIES: [Forgery; 23] = [
    ("and has no row", |evidence| evidence.batches.pop().map(drop)),
    ("the service does not know it", |evidence| {
        evidence.batch_answers.values_mut().next().map(|answer| *answer = Err("NOT_FOUND".to_owned()))
    }),
    ("and nobody asked for it", |evidence| {
        evidence.batch_answers.clear();
        evidence.notes.batches.first().map(drop)
    }),
    ("was the answer to two requests", |evidence| {
        let twin = evidence.notes.batches.first()?.clone();
        evidence.notes.batches.push(twin);
        Some(())
    }),
    ("is not the batch that", |evidence| {
        evidence.notes.batches.first_mut()?.request_id.push('x');
        Some(())
    }),
    ("made two batches", |evidence| {
        let twin = crate::evidence::BatchRow { id: Uuid::nil(), ..evidence.batches.first()?.clone() };
        evidence.batches.push(twin);
        Some(())
    }),
    ("has a row, and nobody was told", |evidence| evidence.notes.batches.pop().map(drop)),
    ("has not ended", |evidence| evidence.batches.first_mut()?.ended_at.take().map(drop)),
    ("had ended, and has changed since", |evidence| {
        evidence.batches.first_mut()?.fingerprint.push('x');
        Some(())
    }),
    ("was left alone when its batch was cancelled", |evidence| {
        evidence.left_alone.push(Uuid::nil());
        Some(())
    }),
    ("runs through, and refused", |evidence| {
        let refused = evidence.rows.iter_mut().find(|row| row.reason.as_deref() == Some("GUARD"))?;
        refused.error.as_mut()?["metadata"]["rule"] = json!("another");
        Some(())
    }),
    ("there is something to do of them", |evidence| {
        evidence.batches_to_do = 1;
        Some(())
    }),
    ("when it was to be cancelled, and is", |evidence| {
        let name = batch(evidence, BatchState::Cancelled)?.name.clone();
        evidence.notes.batch_cancels.push(Cancel { name, answer: BatchState::Completed });
        Some(())
    }),
    ("should be cancelled, and is completed", |evidence| {
        batch(evidence, BatchState::Cancelled)?.state = BatchState::Completed;
        Some(())
    }),
    ("should be completed, and is cancelled", |evidence| {
        batch(evidence, BatchState::Completed)?.state = BatchState::Cancelled;
        Some(())
    }),
    ("tenants, and there are", |evidence| {
        batch(evidence, BatchState::Completed)?.tenant_count += 1;
        Some(())
    }),
    ("which is none of its tenants", |evidence| {
        member(evidence)?.tenant = "store-0".to_owned();
        Some(())
    }),
    ("has 2 runs of", |evidence| {
        let twin = Row { id: Uuid::nil(), ..member(evidence)?.clone() };
        evidence.rows.push(twin);
        Some(())
    }),
    ("has no run of", |evidence| {
        let id = member(evidence)?.id;
        evidence.rows.retain(|row| row.id != id);
        Some(())
    }),
    ("succeeded, and there are", |evidence| {
        batch(evidence, BatchState::Completed)?.succeeded_count += 1;
        Some(())
    }),
    ("that joined nothing", |evidence| {
        let joined = evidence.rows.iter_mut().find(|row| row.reason.as_deref() == Some("JOINED"))?;
        joined.error = None;
        Some(())
    }),
    ("changed more tenants than it may", |evidence| {
        as_if_guarded(evidence, |tenants, changed| tenants >= 20 && changed.len() > tenants * 20 / 100)
    }),
    ("changed more primary categories than it may", |evidence| {
        as_if_guarded(evidence, |tenants, changed| {
            let is_primary = |change: &Value| change["before"]["role"] == "primary";
            let replaces = |row: &&&Row| row.written.as_array().is_some_and(|changes| changes.iter().any(is_primary));
            changed.iter().filter(replaces).count() > tenants * 5 / 100
        })
    }),
];

/// A batch whose guards were lifted, as if they had not been: one of which they would have stopped some of the runs that wrote.
fn as_if_guarded(evidence: &mut Evidence, goes_too_far: fn(usize, &[&Row]) -> bool) -> Option<()> {
    let (rows, tenants, joined) = (&evidence.rows, &evidence.tenants, joined(evidence));
    let is_one = |accepted: &&mut AcceptedBatch| {
        let id = witness::id(&accepted.name);
        let has_changed = |row: &&Row| row.batch == Some(id) && row.written != json!([]) && !joined.contains(&row.id);
        let changed: Vec<&Row> = rows.iter().filter(has_changed).collect();
        let is_its = |tenant: &&Tenant| tenant.address.organization == accepted.organization;
        goes_too_far(tenants.iter().filter(is_its).count(), &changed)
    };
    evidence.notes.batches.iter_mut().filter(|accepted| !accepted.is_guarded).find(is_one)?.is_guarded = true;
    Some(())
}

fn batch(evidence: &mut Evidence, state: BatchState) -> Option<&mut Batch> {
    let batches = evidence.batch_answers.values_mut();
    batches.filter_map(|answer| answer.as_mut().ok()).find(|batch| batch.state == state)
}

/// A run of a batch that has one for each of its tenants.
fn member(evidence: &mut Evidence) -> Option<&mut Row> {
    let batch = witness::id(&batch(evidence, BatchState::Completed)?.name);
    evidence.rows.iter_mut().find(|row| row.batch == Some(batch))
}
