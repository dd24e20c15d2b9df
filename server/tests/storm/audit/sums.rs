//! Every end is in the rollups, once: they say what a full count of the history does, whoever died while summing up.

use crate::evidence::Evidence;

/// Compares the two.
pub(super) fn check(evidence: &Evidence) -> Vec<String> {
    let [kept, counted] = &evidence.sums;
    let mut findings = Vec::new();
    for (what, count) in counted {
        match kept.get(what) {
            Some(sum) if sum == count => {}
            sum => findings.push(format!("sums: {what}: the rollups say {sum:?}, a full count {count}")),
        }
    }
    let more = kept.keys().filter(|what| !counted.contains_key(*what));
    findings.extend(more.map(|what| format!("sums: {what}: the rollups count it, and there is none")));
    findings
}
