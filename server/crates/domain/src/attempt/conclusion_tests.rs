use chrono::DateTime;

use super::super::super::{
    CategorySet, Complete, FailureReason, GbpCategory, Gcid, GuardContext, GuardLimits, LocationId, MappingResult,
    Plan, Skip, SkipReason,
};
use super::*;

const JITTER: f64 = 0.0;

fn status() -> AttemptStatus {
    AttemptStatus {
        attempt: 1,
        max_attempts: 5,
        uncounted_attempts: 0,
        cancel_requested: false,
        has_write_intent: false,
        has_written: false,
        intent_in_doubt: false,
        circuit_open: false,
    }
}

fn permanent() -> Failure {
    Failure::permanent(FailureReason::PermissionDenied, "no")
}

fn outage() -> Failure {
    Failure::transient(FailureReason::UpstreamUnavailable, "away")
}

fn throttled() -> Failure {
    Failure::transient(FailureReason::QuotaExhausted, "slow down").with("upstream_reason", "THROTTLED")
}

fn failed(failure: Failure) -> AttemptOutcome {
    AttemptOutcome::Ended(RunResult::Failed(failure))
}

/// A conclusion in a word or two, with the milliseconds of its wait.
fn shown(conclusion: &Conclusion) -> String {
    match conclusion {
        Conclusion::End { result, yields_to_joins } => {
            let result = match result {
                RunResult::Succeeded => "succeeded".to_owned(),
                RunResult::Skipped(_) => "skipped".to_owned(),
                RunResult::Cancelled => "cancelled".to_owned(),
                RunResult::Failed(failure) => {
                    let unknown = if failure.metadata.contains_key("write_outcome") { " unknown" } else { "" };
                    format!("{}{unknown}", failure.reason)
                }
            };
            if *yields_to_joins { result } else { format!("{result}, last") }
        }
        Conclusion::Retry { delay, is_counted, .. } => {
            format!("retry {}{}", delay.as_millis(), if *is_counted { "" } else { " uncounted" })
        }
        Conclusion::BeginAnew { pause } => format!("anew {}", pause.as_millis()),
        Conclusion::Release => "release".to_owned(),
        Conclusion::Nothing => "nothing".to_owned(),
    }
}

#[test]
fn each_outcome_has_its_conclusion() {
    let skip = Skip { reason: SkipReason::Cooldown, message: String::new(), metadata: [].into() };
    let waiting = outage().waiting(Duration::from_secs(7));
    let asked_for_more = Failure { retry: Retry::After(Duration::from_secs(9)), ..outage() };
    let s = status;
    for (status, outcome, expected) in [
        (s(), AttemptOutcome::Ended(RunResult::Succeeded), "succeeded"),
        (s(), AttemptOutcome::Ended(RunResult::Skipped(skip)), "skipped"),
        (s(), AttemptOutcome::Ended(RunResult::Cancelled), "cancelled"),
        // A cancellation does not undo what is known: the run ended as it did.
        (AttemptStatus { cancel_requested: true, ..s() }, AttemptOutcome::Ended(RunResult::Succeeded), "succeeded"),
        // Failures that another attempt would meet again.
        (s(), failed(permanent()), "PERMISSION_DENIED"),
        (AttemptStatus { has_write_intent: true, ..s() }, failed(permanent()), "PERMISSION_DENIED unknown"),
        (AttemptStatus { cancel_requested: true, ..s() }, failed(permanent()), "PERMISSION_DENIED"),
        // Failures that may pass.
        (s(), failed(outage()), "retry 500"),
        (AttemptStatus { attempt: 3, ..s() }, failed(outage()), "retry 2000"),
        (s(), failed(asked_for_more.clone()), "retry 9000"),
        (AttemptStatus { attempt: 4, ..s() }, failed(asked_for_more), "retry 9000"),
        (AttemptStatus { attempt: 5, ..s() }, failed(outage()), "ATTEMPTS_EXHAUSTED, last"),
        (
            AttemptStatus { attempt: 5, has_write_intent: true, ..s() },
            failed(outage()),
            "ATTEMPTS_EXHAUSTED unknown, last",
        ),
        // An outage for all locations counts for no run, one location's throttling does.
        (AttemptStatus { circuit_open: true, ..s() }, failed(outage()), "retry 500 uncounted"),
        (AttemptStatus { attempt: 5, circuit_open: true, ..s() }, failed(outage()), "retry 8000 uncounted"),
        (AttemptStatus { circuit_open: true, ..s() }, failed(throttled()), "retry 500"),
        (AttemptStatus { attempt: 5, circuit_open: true, ..s() }, failed(throttled()), "ATTEMPTS_EXHAUSTED, last"),
        // The credentials of others: the run waits, however often.
        (s(), failed(waiting.clone()), "retry 7000 uncounted"),
        (AttemptStatus { attempt: 5, ..s() }, failed(waiting), "retry 8000 uncounted"),
        // A cancellation ends what would be tried again, unless it wrote or may have.
        (AttemptStatus { cancel_requested: true, ..s() }, failed(outage()), "cancelled"),
        (AttemptStatus { cancel_requested: true, has_written: true, ..s() }, failed(outage()), "retry 500"),
        (AttemptStatus { cancel_requested: true, has_write_intent: true, ..s() }, failed(outage()), "retry 500"),
        (AttemptStatus { attempt: 5, cancel_requested: true, ..s() }, failed(outage()), "ATTEMPTS_EXHAUSTED, last"),
        // Beginning anew: at once, and from the second time on after a pause.
        (s(), AttemptOutcome::Superseded, "anew 0"),
        (AttemptStatus { uncounted_attempts: 1, ..s() }, AttemptOutcome::Superseded, "anew 500"),
        (AttemptStatus { uncounted_attempts: 3, ..s() }, AttemptOutcome::Superseded, "anew 2000"),
        // Without a database.
        (s(), AttemptOutcome::Interrupted, "release"),
        (AttemptStatus { attempt: 5, ..s() }, AttemptOutcome::Interrupted, "release"),
        (AttemptStatus { intent_in_doubt: true, ..s() }, AttemptOutcome::Interrupted, "anew 0"),
        (
            AttemptStatus { intent_in_doubt: true, has_write_intent: true, ..s() },
            AttemptOutcome::Interrupted,
            "release",
        ),
        (s(), AttemptOutcome::LeaseLost, "nothing"),
        (AttemptStatus { has_write_intent: true, ..s() }, AttemptOutcome::LeaseLost, "nothing"),
    ] {
        let conclusion = status.conclude(outcome.clone(), &Backoff::default(), JITTER);
        assert_eq!(shown(&conclusion), expected, "{status:?} {outcome:?}");
    }
}

fn plan(location: Option<&str>, before: &str, after: &str) -> RecordedPlan {
    let set = |slug: &str| {
        let gcid = Gcid::parse(&format!("gcid:{slug}")).expect("valid");
        CategorySet::new(GbpCategory::new(gcid, ""), vec![]).expect("a set")
    };
    let mapped = MappingResult { set: set(after), source: vec![], unmapped: vec![], merged: vec![] };
    let guards = GuardContext { limits: GuardLimits::OPEN, overridden: [].into(), is_first_run: false };
    let plan = Plan::to_gbp(mapped, Complete::read(Some(set(before))), &guards, DateTime::UNIX_EPOCH);
    plan.at(location.map(|location| LocationId::parse(location).expect("an id"))).recorded()
}

#[test]
fn a_plan_without_changes_does_not_hide_what_an_earlier_attempt_found_there() {
    let empty = || plan(Some("1"), "a", "a");
    let differs = |location| plan(location, "a", "b");
    for (earlier, later, dry_run, replaces) in [
        (None, empty(), false, true),
        (Some(empty()), empty(), false, true),
        (Some(differs(Some("1"))), empty(), false, false),
        (Some(differs(None)), empty(), false, false),
        // What was planned for another location was not found here.
        (Some(differs(Some("2"))), empty(), false, true),
        (Some(differs(Some("1"))), differs(Some("1")), false, true),
        // A dry run answers for now.
        (Some(differs(Some("1"))), empty(), true, true),
    ] {
        assert_eq!(replaces_plan(earlier.as_ref(), &later, dry_run), replaces, "{earlier:?} {later:?} {dry_run}");
    }
}
