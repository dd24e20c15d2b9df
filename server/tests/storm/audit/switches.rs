//! The kill switch is obeyed within 2 s: nothing is sent later for whom it is off.

use super::writes::Write;
use crate::{
    evidence::Evidence,
    settings::{SWITCH_OFF, off_since},
};

/// Looks what was sent while it was off.
pub(super) fn check(evidence: &Evidence, writes: &[Write<'_>]) -> Vec<String> {
    let mut findings = Vec::new();
    // What was sent by a process that had been stopped may come at any time.
    for write in writes.iter().filter(|write| write.late.is_none()) {
        let at = write.patch.received;
        let since = off_since(&evidence.switches, write.tenant, at);
        if let Some(since) = since.filter(|since| at - *since > SWITCH_OFF) {
            findings.push(format!(
                "switch: run {} of {} sent a write at {at}, and the kill switch was off since {since}",
                write.run, write.tenant
            ));
        }
    }
    findings
}
