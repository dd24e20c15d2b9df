//! What the storm says in the end.

use std::{collections::BTreeMap, time::Duration};

use category_mirror_client::{Batch, BatchState, Strategy};
use serde_json::{Map, Value, json};

use crate::{
    audit::Verdict,
    blows::{self, Blows},
    evidence::{Evidence, Row},
    options::Options,
};

/// Says every finding in words, and everything in one line of JSON.
pub(crate) fn print(
    options: &Options,
    evidence: &Evidence,
    verdict: &Verdict,
    faults: &[(&'static str, u64)],
    took: Duration,
) {
    for finding in &verdict.findings {
        eprintln!("storm: FINDING: {finding}");
    }
    let sum = |of: fn(&Row) -> i32| evidence.rows.iter().map(|row| i64::from(of(row))).sum::<i64>();
    let uncounted_attempts = sum(|row| row.uncounted_attempts);
    let terminal = evidence.rows.iter().filter(|row| row.ended_at.is_some()).count();
    let effective = evidence.patches.iter().filter(|patch| patch.took_effect.is_some()).count();
    let count = |what: &str| evidence.notes.tally.get(what).copied().unwrap_or_default();
    let findings_with = |words: &str| verdict.findings.iter().filter(|finding| finding.contains(words)).count();
    let unequal = evidence.tenants.iter().filter(|tenant| tenant.shown != tenant.desired).count();
    let in_state = |state: &str| evidence.rows.iter().filter(|row| row.state == state).count();
    let with_reason = |reason: &str| evidence.rows.iter().filter(|row| row.reason.as_deref() == Some(reason)).count();
    let ordered = |what: &str| {
        let is_ordered = |row: &&Row| row.options.as_ref().is_some_and(|options| options[what].is_string());
        evidence.rows.iter().filter(is_ordered).filter(|row| row.state == "succeeded").count()
    };
    let is_cancelled =
        |answer: &&Result<Batch, String>| answer.as_ref().is_ok_and(|batch| batch.state == BatchState::Cancelled);
    let in_batches = evidence.rows.iter().filter(|row| row.batch.is_some()).count();
    let faults: Map<String, Value> = faults.iter().map(|(name, struck)| ((*name).to_owned(), json!(struck))).collect();
    let looks = json!({
        "dry_runs": evidence.rows.iter().filter(|row| row.dry_run).count(),
        "plans_applied": ordered("applied_plan"),
        "plans_stale": with_reason("PLAN_STALE"),
        "reverts": ordered("revert_of"),
        "not_revertible": with_reason("NOT_REVERTIBLE"),
        "reverts_refused": evidence.notes.refusals.len(),
        "google_won": evidence.rows.iter().filter(|row| row.strategy == Strategy::GbpToPlatform.to_string()).count(),
        "platform_written": evidence.platform.iter().filter(|turn| turn.process.is_some()).count(),
    });
    let mut troubles: BTreeMap<&str, u64> = BTreeMap::new();
    for trouble in &evidence.notes.troubles {
        *troubles.entry(trouble.kind).or_default() += 1;
    }
    let trouble = json!({
        "episodes": troubles,
        "unresolved_writes": evidence.rows.iter().filter(|row| row.intent.is_some()).count(),
        "switched_off": with_reason("FEATURE_DISABLED"),
        "changes_of_location": count("changes of location"),
        "changes_of_location_refused": count("changes of location refused"),
    });
    let mut summary = json!({
        "seed": options.seed,
        "replicas": options.replicas,
        "tenants": evidence.tenants.len(),
        "accepted": evidence.notes.accepted.len(),
        "terminal": terminal,
        "cancelled": in_state("cancelled"),
        "batches": evidence.batches.len(),
        "runs_in_batches": in_batches,
        "joined": evidence.notes.accepted.iter().filter(|accepted| accepted.joined).count() + with_reason("JOINED"),
        "stopped_by_guards": with_reason("GUARD"),
        "looks": looks,
        "lost": evidence.answers.values().filter(|answer| answer.is_err()).count(),
        "live_twice": findings_with("live runs"),
        "locations_unequal": unequal,
        "writes_begun_without_a_lease": findings_with("(attempt "),
        "pauses_in_a_write": count("pauses in a write"),
        "blows_missed": count("missed"),
        "starts_in_vain": count("starts in vain"),
        "cancels": count("cancels"),
        "cancels_in_a_write": count("cancels in a write"),
        "batches_cancelled": evidence.batch_answers.values().filter(is_cancelled).count(),
        "calls_repeated": count("calls repeated"),
        "requests_sent_twice": count("requests sent twice"),
        "errors_logged": count("errors logged"),
        "trouble": trouble,
        "faults": faults,
        "uncounted_attempts": uncounted_attempts,
        "retries": sum(|row| (row.attempt - row.uncounted_attempts - 1).max(0)),
        "patches": evidence.patches.len(),
        "patches_that_took_effect": effective,
        "late_writes": verdict.late.len(),
        "journal_entries": evidence.journal.len(),
        "forgeries_found": verdict.forgeries,
        "duration_s": (took.as_secs_f64() * 10.0).round() / 10.0,
        "findings": verdict.findings,
    });
    let blows = Blows::of(evidence);
    let never = blows.never();
    if !never.is_empty() {
        eprintln!("storm: never happened: {}", never.join(", "));
    }
    // Apart: the macro takes no more of them.
    summary["blows"] = blows.to_json();
    summary["never"] = json!(never);
    summary["failovers"] = json!(blows::failovers(&evidence.notes));
    summary["pooled_place"] = json!(blows::pooled_place(options, &evidence.notes));
    println!("{summary}");
}

/// A tally in words.
pub(crate) fn shown(tally: &BTreeMap<&'static str, u64>) -> String {
    tally.iter().map(|(what, count)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
}
