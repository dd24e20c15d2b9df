//! Lies about failovers, about the pooler, and about the clocks.

use super::Forgery;
use crate::failovers::WELL;

pub(super) const FORGERIES: [Forgery; 6] = [
    ("and the database is on timeline", |evidence| {
        evidence.timeline += 1;
        Some(())
    }),
    ("is gone", |evidence| {
        evidence.notes.failovers.first()?;
        evidence.marks.pop().map(drop)
    }),
    ("took no write", |evidence| {
        *evidence.notes.failovers.last_mut()?.well.first_mut()? = None;
        Some(())
    }),
    ("took its first write", |evidence| {
        *evidence.notes.failovers.first_mut()?.well.last_mut()? = Some(WELL * 2);
        Some(())
    }),
    ("and it was to be", |evidence| {
        let mut clocks = evidence.notes.clocks.values_mut();
        clocks.find(|clock| clock.wanted != 0 && clock.found.is_some())?.found = Some(0);
        Some(())
    }),
    // A session that is lent to one process with the name of another.
    ("while", |evidence| {
        let pooled = evidence.notes.pooled.clone();
        let is_pooled = |name: &Option<String>| name.as_ref().is_some_and(|name| pooled.contains(name));
        let mut ends = evidence.journal.iter_mut().filter(|entry| super::is_success(entry));
        ends.find(|entry| is_pooled(&entry.process))?.process = None;
        Some(())
    }),
];
