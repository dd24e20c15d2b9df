//! What a run has written is taken back where it is still what that run has left, and else left alone, for the named reason.

use category_mirror_client::Strategy;
use serde_json::json;

use super::{
    looks::{Looks, shown},
    writes::Write,
};
use crate::{
    ask::{Deed, Sides},
    evidence::{Evidence, Row},
    record::{Accepted, Refusal},
    set::Set,
    witness,
};

/// What a run found of its target, and what it has left of it.
struct Way {
    before: Set,
    after: Set,
}

/// Why nothing is known of a run's way.
enum Unknown {
    /// Nobody asked for the run.
    Unasked,
    /// Its target was not only what the storm saw.
    Unclear,
}

/// Compares what was to be taken back with what came of it.
pub(super) fn check(evidence: &Evidence, writes: &[Write<'_>]) -> Vec<String> {
    let looks = Looks::of(evidence, writes);
    let mut findings = Vec::new();
    for accepted in &evidence.notes.accepted {
        let Deed::Revert(run) = &accepted.ask.deed else { continue };
        let Some(row) = looks.rows.get(&witness::id(&accepted.name)) else { continue };
        let Some(sides) = accepted.sides.as_ref().filter(|sides| looks.is_clear(row, sides)) else { continue };
        let problem = match way(&looks, run) {
            Err(Unknown::Unclear) => None,
            Err(Unknown::Unasked) => Some("takes a run back that nobody asked for".to_owned()),
            Ok(way) if has_written(&looks, run) => problem(row, accepted, sides, &way),
            Ok(_) => Some("takes a run back that wrote nothing".to_owned()),
        };
        findings.extend(problem.map(|words| format!("revert: {} {words}", shown(row))));
    }
    let wrong = evidence.notes.refusals.iter().filter(|refusal| !is_right(&looks, refusal));
    findings.extend(wrong.map(|refusal| {
        let Refusal { run, request_id, .. } = refusal;
        format!("revert: {request_id} was refused, though what {run} has left was still there")
    }));
    findings
}

/// The way of a run, by what was asked for and what the storm saw then.
fn way(looks: &Looks<'_>, run: &str) -> Result<Way, Unknown> {
    let accepted = looks.accepted(run).ok_or(Unknown::Unasked)?;
    let sides = accepted.sides.as_ref().ok_or(Unknown::Unasked)?;
    let row = looks.rows.get(&witness::id(run)).ok_or(Unknown::Unasked)?;
    if !looks.is_clear(row, sides) {
        return Err(Unknown::Unclear);
    }
    let (source, target) = sides.way(accepted.ask.strategy);
    let after = match &accepted.ask.deed {
        Deed::Revert(other) => way(looks, other)?.before,
        _ => source.clone(),
    };
    Ok(Way { before: target.clone(), after })
}

fn has_written(looks: &Looks<'_>, run: &str) -> bool {
    looks.rows.get(&witness::id(run)).is_some_and(|row| row.written != json!([]))
}

/// What is wrong with a revert of a run that went this way, where the sides were these.
fn problem(row: &Row, accepted: &Accepted, sides: &Sides, way: &Way) -> Option<String> {
    let Way { before, after } = way;
    let (_, now) = sides.way(accepted.ask.strategy);
    let is_left = now == after;
    match row.state.as_str() {
        "succeeded" if !is_left => Some(format!("took back {after}, which was {now} by then")),
        "succeeded" if now.changed_by(&row.written).as_ref() != Some(before) => {
            Some(format!("was to lead back from {now} to {before}, and wrote otherwise"))
        }
        "failed" if is_left => Some(format!("failed, though {after} was still there")),
        state if state != "succeeded" && row.written != json!([]) => {
            Some(format!("took nothing back, as it is {state}, and tells of a write"))
        }
        _ => None,
    }
}

/// Whether there was nothing to take back, or the target was known to be another.
fn is_right(looks: &Looks<'_>, refusal: &Refusal) -> bool {
    let Some(accepted) = looks.accepted(&refusal.run).filter(|_| has_written(looks, &refusal.run)) else { return true };
    let (_, now) = refusal.sides.way(accepted.ask.strategy);
    // What is at Google only the run itself finds out.
    let is_known = accepted.ask.strategy == Strategy::GbpToPlatform;
    match way(looks, &refusal.run) {
        Ok(way) => is_known && *now != way.after,
        Err(_) => true,
    }
}
