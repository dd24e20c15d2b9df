//! Lies about what was written. Where a write came late nothing can be said of its location, so what lies there lies about all.

use category_mirror_client::Strategy;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Forgery, calm};
use crate::evidence::{Evidence, Row};

pub(super) const FORGERIES: [Forgery; 5] = [
    ("and tells otherwise", |evidence| {
        evidence.rows.iter_mut().for_each(|row| row.written = json!([]));
        if_anything_was_written(evidence)
    }),
    ("where it had seen something else", |evidence| {
        let sides = evidence.journal.iter_mut().filter_map(|entry| entry.after.as_mut());
        sides.filter_map(|side| side.intent.as_mut()).for_each(|intent| intent["before"] = Value::Null);
        if_anything_was_written(evidence)
    }),
    ("not for the first time", |evidence| {
        let twins = evidence.patches.iter().flat_map(|patch| [patch.clone(), patch.clone()]).collect();
        evidence.patches = twins;
        if_anything_was_written(evidence)
    }),
    ("and its steps end with", |evidence| {
        let shown = &mut evidence.tenants.first_mut()?.shown;
        *shown = Some(shown.clone()?.other(&mut fastrand::Rng::with_seed(1)));
        Some(())
    }),
    ("that Google knows nothing of", |evidence| {
        let calm = calm(evidence);
        let wrote = |row: &&Row| {
            calm.contains(&row.tenant)
                && row.written != json!([])
                && row.strategy == Strategy::PlatformToGbp.to_string()
        };
        let told = evidence.rows.iter().find(wrote)?;
        let twin = Row { id: Uuid::nil(), ..told.clone() };
        evidence.rows.push(twin);
        Some(())
    }),
];

fn if_anything_was_written(evidence: &Evidence) -> Option<()> {
    evidence.patches.iter().any(|patch| patch.took_effect.is_some()).then_some(())
}
