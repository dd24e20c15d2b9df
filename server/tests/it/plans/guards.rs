//! Guards: what a run would do beyond a limit it does not do, unless a person says so by name and with a reason.

use category_mirror::domain::GuardLimits;
use category_mirror_client::{GuardOutcome, Run, RunState, Strategy};
use serde_json::{Value, json};

use super::{guarded, guarded_by, reason};
use crate::service::Service;

const NO_WRITES: [Value; 0] = [];

fn verdicts(run: &Run) -> Vec<(String, i64, i64, GuardOutcome)> {
    let plan = run.plan.as_ref().expect("a plan");
    plan.guard_verdicts.iter().map(|v| (v.rule.clone(), v.value, v.limit, v.outcome)).collect()
}

/// Makes the first run of a tenant and strategy one that finds nothing to do.
async fn after_a_first_run(service: &Service) {
    let slugs = service.platform().await;
    let slugs: Vec<&str> = slugs.iter().map(String::as_str).collect();
    service.google.edit("77", "owner", slugs[0], &slugs[1..]).await;
    assert_eq!(service.mirror("store", false).await.state, RunState::Succeeded);
}

#[tokio::test]
async fn a_first_run_that_removes_something_is_stopped_and_writes_nothing() {
    let service = guarded().await;
    service.with_store(&["cafe", "bakery"], "cafe", &["bar"]).await;

    let run = service.mirror("store", false).await;

    assert_eq!((run.state, reason(&run)), (RunState::Failed, "GUARD"));
    assert_eq!((run.written_changes.len(), run.attempt), (0, 1));
    let error = run.error.expect("an error");
    let values = ["rule", "value", "limit"].map(|key| error.metadata[key].as_str());
    assert_eq!(values, ["first_run_removals", "1", "0"]);
    for part in ["first_run_removals 1 (limit 0)", "override_guards first_run_removals", "reason"] {
        assert!(error.message.contains(part), "{part}: {}", error.message);
    }
    assert_eq!(service.google.writes().await, NO_WRITES);
    assert_eq!(service.google.merchant("77").await, ["cafe", "bar"]);
}

#[tokio::test]
async fn another_primary_category_is_stopped() {
    let service = guarded().await;
    service.with_store(&["cafe", "bakery"], "cafe", &["bakery"]).await;
    after_a_first_run(&service).await;
    service.set("store", &["bakery", "cafe"]).await;

    let run = service.mirror("store", false).await;

    assert_eq!((run.state, reason(&run)), (RunState::Failed, "GUARD"));
    assert_eq!(run.error.expect("an error").metadata["rule"], "primary_change");
    assert_eq!(service.google.merchant("77").await, ["cafe", "bakery"]);
}

#[tokio::test]
async fn dry_and_real_runs_hear_the_same_of_every_guard() {
    let service = guarded().await;
    service.with_store(&["cafe"], "bar", &["deli", "bakery"]).await;

    let dry_runs = service.mirror("store", true).await;
    assert_eq!(dry_runs.state, RunState::Succeeded, "a dry run reports, and is stopped by nothing");
    let real = service.mirror("store", false).await;
    assert_eq!((real.state, reason(&real)), (RunState::Failed, "GUARD"));

    let (passed, stopped) = (GuardOutcome::Passed, GuardOutcome::Stopped);
    let expected = [
        ("primary_change".to_owned(), 1, 0, stopped),
        ("removals".to_owned(), 3, 3, passed),
        ("removed_share".to_owned(), 100, 50, stopped),
        ("first_run_removals".to_owned(), 3, 0, stopped),
    ];
    assert_eq!(verdicts(&dry_runs), expected);
    assert_eq!(verdicts(&real), expected);
    assert!(dry_runs.plan.expect("a plan").is_stopped());
    assert_eq!(real.error.expect("an error").metadata["rules"], "primary_change,removed_share,first_run_removals");
}

#[tokio::test]
async fn an_override_lifts_one_rule_for_one_run_and_is_recorded_with_its_reason() {
    let service = guarded().await;
    service.with_store(&["cafe", "bakery"], "cafe", &["bar"]).await;
    let with = |guards: &[&str], reason: &str| {
        let request = service.client.mirror("store", Strategy::PlatformToGbp);
        request.override_guards(guards.iter().copied(), reason)
    };

    let other = service.end_of(with(&["removals"], "not the one that stops it")).await;
    assert_eq!((other.state, reason(&other)), (RunState::Failed, "GUARD"));
    let run = service.end_of(with(&["first_run_removals"], "ticket 7: the bar has closed")).await;
    assert_eq!(run.state, RunState::Succeeded);
    assert_eq!(run.overridden_guards, ["first_run_removals"]);
    assert_eq!(run.override_reason.as_deref(), Some("ticket 7: the bar has closed"));
    assert_eq!(verdicts(&run)[3].3, GuardOutcome::Overridden);
    assert_eq!(service.google.merchant("77").await, ["cafe", "bakery"]);
    let logged = service.client.list_sync_logs().send().collect().await.expect("logs");
    assert_eq!(logged[0].override_reason, run.override_reason, "also in the list");

    // The next run is guarded again.
    service.set("store", &["bakery"]).await;
    let next = service.mirror("store", false).await;
    assert_eq!((next.state, reason(&next)), (RunState::Failed, "GUARD"));
}

#[tokio::test]
async fn an_override_needs_a_known_name_and_a_reason() {
    let service = guarded().await;
    service.with_store(&["cafe"], "bar", &[]).await;
    for (guards, why, fields) in [
        (&["removals"][..], "", &["reason"][..]),
        (&[][..], "because", &["override_guards"][..]),
        (&["everything", "removals"][..], "because", &["override_guards[0]"][..]),
        (&["removals"][..], "two\nlines", &["reason"][..]),
    ] {
        let request = service.client.mirror("store", Strategy::PlatformToGbp);
        let error = request.override_guards(guards.iter().copied(), why).send().await.expect_err("refused");
        let violated: Vec<&str> = error.field_violations().iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(violated, fields, "{guards:?} {why:?}");
    }
    assert_eq!(service.client.get_sync_stats().send().await.expect("stats").total_runs, 0);
}

#[tokio::test]
async fn the_limits_are_settings() {
    let service = guarded_by(GuardLimits { first_run_removals: 1, ..GuardLimits::default() }).await;
    service.with_store(&["cafe", "bakery"], "cafe", &["bar"]).await;
    assert_eq!(service.mirror("store", false).await.state, RunState::Succeeded);
}

/// The hint is what will work: without the override that was there, its guard would stop the next run.
#[tokio::test]
async fn what_a_stopped_run_asks_for_is_enough_and_names_what_was_lifted_already() {
    let service = guarded().await;
    service.with_store(&["cafe"], "bar", &["deli", "bakery"]).await;
    let request = || service.client.mirror("store", Strategy::PlatformToGbp);

    let run = service.end_of(request().override_guards(["primary_change"], "ticket 7")).await;
    assert_eq!((run.state, reason(&run)), (RunState::Failed, "GUARD"));
    let error = run.error.expect("an error");
    assert_eq!(error.metadata["rules"], "removed_share,first_run_removals");
    let needed = &error.metadata["override_guards"];
    assert!(error.message.contains(&needed.replace(',', ", ")), "{}", error.message);

    let run = service.end_of(request().override_guards(needed.split(','), "ticket 7")).await;
    assert_eq!(run.state, RunState::Succeeded, "{:?}", run.error);
}

#[tokio::test]
async fn what_a_guard_stopped_is_told_apart_from_what_failed() {
    let service = guarded().await;
    service.with_store(&["cafe"], "bar", &["deli"]).await;
    let stats = async || service.client.get_sync_stats().send().await.expect("counted");
    assert_eq!(service.mirror("store", false).await.state, RunState::Failed);
    let stopped = stats().await;
    let counts = (stopped.total_runs, stopped.failed_runs, stopped.guard_stopped_runs);
    assert_eq!((counts, stopped.success_rate_percent), ((1, 1, 1), None), "neither a success nor a failure");

    let request = service.client.mirror("store", Strategy::PlatformToGbp);
    let all = ["primary_change", "removed_share", "first_run_removals"];
    assert_eq!(service.end_of(request.override_guards(all, "ticket 7")).await.state, RunState::Succeeded);
    let counted = stats().await;
    assert_eq!((counted.guard_stopped_runs, counted.success_rate_percent), (1, Some(100.0)));

    service.google.fault(json!({"method": "locations.get", "status": 404})).await;
    assert_eq!(service.mirror("store", false).await.state, RunState::Failed);
    for (scope, stats) in [
        ("all", stats().await),
        ("tenant", service.client.get_sync_stats().tenant("store").send().await.expect("counted")),
    ] {
        let counts = (stats.total_runs, stats.succeeded_runs, stats.failed_runs, stats.guard_stopped_runs);
        assert_eq!((counts, stats.success_rate_percent), ((3, 1, 2, 1), Some(50.0)), "{scope}");
    }
}
