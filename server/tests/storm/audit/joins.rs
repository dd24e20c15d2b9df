//! Whoever joins a live run gets what was asked for, as things were then or later.

use std::collections::HashMap;

use category_mirror_client::Strategy;
use uuid::Uuid;

use crate::{
    ask::{Deed, ends_of},
    evidence::{Evidence, Row},
    record::Accepted,
    set::Set,
    witness,
};

/// Compares each joined run's end with what the tenant had on the platform when it was joined, and since.
pub(super) fn check(evidence: &Evidence) -> Vec<String> {
    let rows: HashMap<Uuid, &Row> = evidence.rows.iter().map(|row| (row.id, row)).collect();
    let mut findings = Vec::new();
    for accepted in evidence.notes.accepted.iter().filter(|accepted| accepted.joined) {
        let Some(row) = rows.get(&witness::id(&accepted.name)) else { continue };
        let is_mirror = matches!(accepted.ask.deed, Deed::Mirror);
        if !is_mirror || accepted.ask.strategy != Strategy::PlatformToGbp {
            continue;
        }
        let problem = cancelled(evidence, row, accepted).or_else(|| outdated(evidence, row, accepted));
        findings.extend(problem.map(|words| {
            format!("joined: {} joined run {} of {}, which {words}", accepted.request_id, row.id, row.tenant)
        }));
    }
    findings
}

/// A run that is to be cancelled already does nothing for whoever joins it.
fn cancelled(evidence: &Evidence, row: &Row, accepted: &Accepted) -> Option<String> {
    let is_mark = |side: &crate::journal::Side| side.cancel_requested;
    let mut marks = evidence.journal.iter().filter(|entry| entry.run == row.id);
    let first = marks.find(|entry| entry.after.as_ref().is_some_and(is_mark))?;
    let is_too_late = row.state == "cancelled" && first.at < accepted.at;
    is_too_late.then(|| format!("was to be cancelled since {}", first.at))
}

/// A run that succeeded has planned for what the tenant had then, or later.
fn outdated(evidence: &Evidence, row: &Row, accepted: &Accepted) -> Option<String> {
    let end = row.ended_at.filter(|_| row.state == "succeeded")?;
    let (_, desired) = row.plan.as_ref().and_then(ends_of)?;
    let turns: Vec<_> = evidence.platform.iter().filter(|turn| turn.tenant == row.tenant).collect();
    let first = turns.iter().rposition(|turn| turn.at <= accepted.at).unwrap_or_default();
    let since: Vec<Set> = turns[first..]
        .iter()
        .filter(|turn| turn.at <= end || turn.at <= accepted.at)
        .filter_map(|turn| turn.set())
        .collect();
    let wanted = since.first().map(Set::to_string).unwrap_or_default();
    (!since.contains(&desired))
        .then(|| format!("succeeded with {desired}, and the platform had {wanted} before it was joined"))
}
