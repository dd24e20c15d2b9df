//! The kill switch is obeyed within 2 s: nothing is sent later for whom it is off.

use chrono::{DateTime, TimeDelta, Utc};

use super::writes::Write;
use crate::{
    evidence::Evidence,
    record::Hold,
    settings::{SWITCH_OFF, off_since},
};

/// What is committed may be seen so much later than it was written down, on a slow machine.
const COMMIT: TimeDelta = TimeDelta::seconds(1);
/// What is passed on arrives within such a time.
const WAY: TimeDelta = TimeDelta::milliseconds(500);

/// Looks what was sent while it was off.
pub(super) fn check(evidence: &Evidence, writes: &[Write<'_>]) -> Vec<String> {
    let mut findings = Vec::new();
    // What was sent by a process that had been stopped may come at any time.
    for write in writes.iter().filter(|write| write.late.is_none()) {
        let at = sent(evidence, write);
        let since = off_since(&evidence.switches, write.tenant, at);
        if let Some(since) = since.filter(|since| at - *since > SWITCH_OFF + COMMIT) {
            findings.push(format!(
                "switch: run {} of {} sent a write at {at}, and the kill switch was off since {since}",
                write.run, write.tenant
            ));
        }
    }
    findings
}

/// When a server sent a write: the storm may have held it back since.
fn sent(evidence: &Evidence, write: &Write<'_>) -> DateTime<Utc> {
    let received = write.patch.received;
    let is_its = |hold: &&Hold| hold.location == write.patch.location && (hold.to..hold.to + WAY).contains(&received);
    evidence.notes.holds.iter().rfind(is_its).map_or(received, |hold| hold.from)
}
