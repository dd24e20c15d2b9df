//! What was committed before a failover is there after it, and every server takes writes again soon.

use crate::{evidence::Evidence, failovers::WELL};

/// Looks what became of each failover.
pub(super) fn check(evidence: &Evidence) -> Vec<String> {
    let failovers = &evidence.notes.failovers;
    let mut findings = Vec::new();
    if usize::try_from(evidence.timeline) != Ok(failovers.len() + 1) {
        let timeline = evidence.timeline;
        findings.push(format!("failover: there were {}, and the database is on timeline {timeline}", failovers.len()));
    }
    for failover in failovers {
        let which = format!("number {} at {} ({})", failover.number, failover.moved, failover.loss);
        // Then nothing that is lost is the servers' fault.
        if !evidence.marks.contains(&failover.number) {
            findings.push(format!("failover: what was committed just before {which} is gone"));
        }
        for (place, well) in failover.well.iter().enumerate() {
            match well {
                Some(well) if *well <= WELL => {}
                Some(well) => findings.push(format!(
                    "failover: {} s after {which} the server in place {place} took its first write",
                    well.as_secs()
                )),
                None => findings.push(format!("failover: after {which} the server in place {place} took no write")),
            }
        }
    }
    findings
}
