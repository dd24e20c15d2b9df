//! The auditor: compares what was promised, what the run table, its history and its rollups say, and what Google got. It is pure: all that it knows
//! is the evidence.

mod batches;
mod cancels;
mod clocks;
mod failovers;
mod joins;
mod life;
mod looks;
mod mirror;
mod mutation;
mod places;
mod platform;
mod promises;
mod reverts;
mod sums;
mod switches;
mod truth;
mod writes;

use crate::evidence::Evidence;

pub(crate) use mutation::mutate;

/// What the auditor says.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// What is wrong, in words.
    pub(crate) findings: Vec<String>,
    /// Writes that reached Google after their lease had ended, of which it cannot be told whether they were begun before.
    pub(crate) late: Vec<String>,
    /// How many forgeries of this evidence were found.
    pub(crate) forgeries: usize,
}

/// Judges the evidence.
pub(crate) fn judge(evidence: &Evidence) -> Verdict {
    let (writes, wrong) = writes::attribute(evidence);
    let mut findings = promises::check(evidence, &writes);
    findings.extend(life::check(evidence));
    findings.extend(wrong);
    findings.extend(mirror::check(evidence, &writes));
    findings.extend(cancels::check(evidence, &writes));
    findings.extend(batches::check(evidence, &writes));
    findings.extend(platform::check(evidence, &writes));
    findings.extend(looks::check(evidence, &writes));
    findings.extend(reverts::check(evidence, &writes));
    findings.extend(sums::check(evidence));
    findings.extend(truth::check(evidence, &writes));
    findings.extend(places::check(evidence, &writes));
    findings.extend(switches::check(evidence, &writes));
    findings.extend(joins::check(evidence));
    findings.extend(clocks::check(evidence));
    findings.extend(failovers::check(evidence));
    let late = writes.iter().filter_map(|write| write.late.clone()).collect();
    Verdict { findings, late, forgeries: 0 }
}
