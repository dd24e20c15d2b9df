//! A location that Google calls closed for good is left alone.

use std::collections::BTreeMap;

use super::attempt::AttemptExecution;
use crate::domain::{LocationId, LocationIssue, Skip, SkipReason};

impl AttemptExecution {
    /// Why a real run writes nothing to the location that it has read: it is closed for good. A run that has written is not skipped, and a
    /// dry one plans all the same.
    pub(super) fn closed(&self, location: &LocationId) -> Option<Skip> {
        let is_closed = self.sync_tracker.issues().contains(&LocationIssue::Closed);
        if !is_closed || self.run.kind.dry_run || !self.progress.written.is_empty() {
            return None;
        }
        let location = location.resource_name();
        let message = format!("{location} is closed for good, says Google, so nothing is written to it");
        let metadata = BTreeMap::from([("location".to_owned(), location)]);
        Some(Skip { reason: SkipReason::LocationClosed, message, metadata })
    }
}
