//! Lies about what tenants had on the platform.

use category_mirror_client::Strategy;
use chrono::TimeDelta;
use serde_json::json;
use uuid::Uuid;

use super::Forgery;
use crate::{
    evidence::{Evidence, Row},
    journal::Entry,
    platform::{Turn, recorded},
};

pub(super) const FORGERIES: [Forgery; 11] = [
    ("and no run tells of it", |evidence| {
        written(evidence)?.xid.push('x');
        Some(())
    }),
    ("which was not to write there", |evidence| {
        adopter(evidence)?.strategy = Strategy::PlatformToGbp.to_string();
        Some(())
    }),
    ("which it held no longer", |evidence| {
        let record = record(evidence)?;
        record.before.as_mut()?.lease_expires_at = Some(record.began - TimeDelta::milliseconds(1));
        Some(())
    }),
    ("which was to be cancelled", |evidence| {
        record(evidence)?.before.as_mut()?.cancel_requested = true;
        Some(())
    }),
    ("which tells of something else", |evidence| {
        let turn = written(evidence)?;
        *turn = turn.clone().with(&turn.set()?.other(&mut fastrand::Rng::with_seed(1)));
        Some(())
    }),
    ("a second time", |evidence| {
        let turn = written(evidence)?.clone();
        evidence.platform.push(turn);
        Some(())
    }),
    ("and was left with", |evidence| {
        let desired = &mut evidence.tenants.first_mut()?.desired;
        *desired = Some(desired.clone()?.other(&mut fastrand::Rng::with_seed(1)));
        Some(())
    }),
    ("that the platform knows nothing of", |evidence| {
        let twin = Row { id: Uuid::nil(), ..adopter(evidence)?.clone() };
        evidence.rows.push(twin);
        Some(())
    }),
    ("to write to Google, which wins", |evidence| {
        record(evidence)?.after.as_mut()?.intent = Some(json!({}));
        // It is no record of a write to the platform then, and told of all the same.
        Some(())
    }),
    ("wrote to Google, which wins", |evidence| {
        let is_any = evidence.patches.iter().any(|patch| patch.process.is_some());
        evidence.rows.iter_mut().for_each(|row| row.strategy = Strategy::GbpToPlatform.to_string());
        is_any.then_some(())
    }),
    ("and Google wins", |evidence| {
        let adopters = evidence.tenants.iter().filter(|tenant| tenant.address.strategy == Strategy::GbpToPlatform);
        let location = adopters.map(|tenant| tenant.address.location.clone()).next()?;
        evidence.patches.first_mut()?.location = location;
        Some(())
    }),
];

/// What a run has written to the platform.
fn written(evidence: &mut Evidence) -> Option<&mut Turn> {
    evidence.platform.iter_mut().find(|turn| turn.process.is_some())
}

/// The record of such a write.
fn record(evidence: &mut Evidence) -> Option<&mut Entry> {
    evidence.journal.iter_mut().find(|entry| recorded(entry).is_some())
}

/// A run that has written to the platform.
fn adopter(evidence: &mut Evidence) -> Option<&mut Row> {
    let run = recorded(record(evidence)?)?.run;
    evidence.rows.iter_mut().find(|row| row.id == run)
}
