//! Lies about a run's life.

use chrono::TimeDelta;
use uuid::Uuid;

use super::{Forgery, is_end, is_success};
use crate::{evidence::Evidence, journal::Entry};

pub(super) const FORGERIES: [Forgery; 10] = [
    ("had two live runs", |evidence| {
        let claim = evidence.journal.iter().position(is_claim)?;
        let mut twin = evidence.journal[claim].clone();
        twin.run = Uuid::nil();
        evidence.journal.insert(claim, twin);
        Some(())
    }),
    ("it began its life", |evidence| {
        let first = evidence.journal.iter_mut().find(|entry| entry.before.is_none())?;
        first.after.as_mut()?.attempt = 1;
        Some(())
    }),
    ("its revision went", |evidence| {
        let end = evidence.journal.iter_mut().find(|entry| is_end(entry))?;
        end.after.as_mut()?.revision = end.before.as_ref()?.revision;
        Some(())
    }),
    ("while somebody held it, or twice at once", |evidence| {
        let claim = evidence.journal.iter_mut().find(|entry| is_claim(entry))?;
        let before = claim.before.as_mut()?;
        before.state = "running".to_owned();
        before.lease_expires_at = Some(claim.began + TimeDelta::hours(1));
        Some(())
    }),
    ("its attempts were forgotten", |evidence| {
        let end = evidence.journal.iter_mut().find(|entry| is_end(entry))?;
        end.after.as_mut()?.attempt = 0;
        Some(())
    }),
    ("it had ended, and changed", |evidence| {
        let end = last_end(evidence)?;
        evidence.journal.push(Entry { before: end.after.clone(), ..end });
        Some(())
    }),
    ("it was deleted", |evidence| {
        let end = last_end(evidence)?;
        evidence.journal.push(Entry { before: end.after.clone(), after: None, ..end });
        Some(())
    }),
    ("it went from queued to succeeded without a claim", |evidence| {
        let end = evidence.journal.iter_mut().find(|entry| is_end(entry))?;
        end.before.as_mut()?.state = "queued".to_owned();
        end.after.as_mut()?.state = "succeeded".to_owned();
        Some(())
    }),
    ("another took it from running to succeeded while", |evidence| {
        evidence.journal.iter_mut().find(|entry| is_success(entry))?.process = Some("another".to_owned());
        Some(())
    }),
    ("whose lease had ended announced a write", |evidence| {
        let entry = evidence.journal.iter_mut().find(|entry| entry.begins_to_write().is_some())?;
        entry.before.as_mut()?.lease_expires_at = Some(entry.began - TimeDelta::milliseconds(1));
        Some(())
    }),
];

/// Whether it is the first claim of a run.
fn is_claim(entry: &Entry) -> bool {
    let was_queued = entry.before.as_ref().is_some_and(|before| before.state == "queued");
    was_queued && entry.after.as_ref().is_some_and(|after| after.state == "running")
}

fn last_end(evidence: &Evidence) -> Option<Entry> {
    evidence.journal.iter().rfind(|entry| is_end(entry)).cloned()
}
