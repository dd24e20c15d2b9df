//! What is shown of runs and plans: when, why not, and what to do about it.

use category_mirror_proto::v1::{self, run::State};

use super::{mirrorctl, planned, text};
use crate::fake::{Ending, Fake, run, updates};

/// A snapshot of a run that Google keeps refusing.
fn attempted(number: i32, second: i64) -> v1::Run {
    let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let attempt = |number: i32| v1::Attempt {
        claim_number: number,
        state: v1::attempt::State::Failed.into(),
        start_time: at(3 * i64::from(number)),
        end_time: at(3 * i64::from(number) + 1),
        ..Default::default()
    };
    v1::Run {
        attempt: number,
        create_time: at(1),
        start_time: at(3),
        next_attempt_time: at(second),
        attempts: (1..=number).map(attempt).collect(),
        ..run("1", number.into(), State::Queued)
    }
}

#[tokio::test]
async fn each_line_of_a_watch_has_the_time_of_what_it_tells() {
    let fake = Fake::start().await;
    let mut snapshots: Vec<v1::Run> = (1..=3).map(|number| attempted(number, 3 * i64::from(number) + 3)).collect();
    snapshots.push(v1::Run {
        end_time: Some(prost_types::Timestamp { seconds: 14, nanos: 0 }),
        ..run("1", 9, State::Failed)
    });
    fake.methods.stream_run_updates.will(Ok(updates(snapshots, Ending::Close)));
    let output = mirrorctl(&fake, &["run", "watch", "1"]).await;
    let shown = text(&output.stdout);
    let times: Vec<&str> = shown.lines().map(|line| &line[..19]).collect();
    let expected = ["00:00:04", "00:00:07", "00:00:10", "00:00:14"].map(|time| format!("1970-01-01 {time}"));
    assert_eq!(times, expected, "{shown}");
    assert!(
        shown.lines().next().is_some_and(|line| line.ends_with("next attempt 1970-01-01 00:00:06+00:00")),
        "{shown}"
    );
}

/// A run whose plan is beyond three limits, one of them lifted.
fn stopped(orders: v1::Run) -> v1::Run {
    let verdict = |rule: &str, outcome: v1::guard_verdict::Outcome| v1::GuardVerdict {
        rule: rule.into(),
        value: 9,
        limit: 3,
        outcome: outcome.into(),
    };
    let guard_verdicts = vec![
        verdict("primary_change", v1::guard_verdict::Outcome::Overridden),
        verdict("removals", v1::guard_verdict::Outcome::Passed),
        verdict("removed_share", v1::guard_verdict::Outcome::Stopped),
        verdict("first_run_removals", v1::guard_verdict::Outcome::Stopped),
    ];
    let message = "stopped before writing, by removed_share 9 % (limit 3 %); to do it all the same, override_guards x";
    let error = v1::RunError { reason: "GUARD".into(), message: message.into(), ..Default::default() };
    v1::Run {
        plan: Some(v1::Plan { guard_verdicts, ..Default::default() }),
        tenant: "tenants/t".into(),
        reason: "GUARD".into(),
        error: Some(error),
        ..orders
    }
}

#[tokio::test]
async fn what_guards_stop_comes_with_the_command_line_that_overrides_all_of_them() {
    let fake = Fake::start().await;
    let strategy = v1::Strategy::PlatformToGbp.into();
    let adopts = v1::Run { strategy: v1::Strategy::GbpToPlatform.into(), ..run("3", 2, State::Failed) };
    let overrides = "--override-guard primary_change --override-guard removed_share --override-guard first_run_removals --reason 'WHY'";
    for (orders, command) in [
        (v1::Run { strategy, ..run("1", 2, State::Failed) }, "mirrorctl run create t --strategy platform_to_gbp"),
        (
            v1::Run { strategy, dry_run: true, ..run("2", 2, State::Succeeded) },
            "mirrorctl run create t --strategy platform_to_gbp --plan 2",
        ),
        (
            v1::Run { strategy, applied_plan: "tenants/t/runs/2".into(), ..run("3", 2, State::Failed) },
            "mirrorctl run create t --strategy platform_to_gbp --plan 2",
        ),
        (
            v1::Run { view: v1::GbpView::Public.into(), ..adopts.clone() },
            "mirrorctl run create t --strategy gbp_to_platform --gbp-view public",
        ),
        (v1::Run { view: v1::GbpView::Merchant.into(), ..adopts }, "mirrorctl run create t --strategy gbp_to_platform"),
        (
            v1::Run { strategy, revert_of: "tenants/t/runs/1".into(), ..run("4", 2, State::Failed) },
            "mirrorctl run revert 1",
        ),
        (
            v1::Run {
                strategy,
                decision: v1::tenant_sync_decision::Decision::PushAgain.into(),
                ..run("5", 2, State::Failed)
            },
            "mirrorctl sync decide t push_again",
        ),
    ] {
        fake.methods.get_run.will(Ok(v1::GetRunResponse { run: Some(stopped(orders)) }));
        let output = mirrorctl(&fake, &["run", "get", "1"]).await;
        let shown = text(&output.stdout);
        let line = format!("to override   {command} {overrides}");
        assert!(shown.lines().any(|shown| shown == line), "{line}: {shown}");
        assert!(!shown.contains("override_guards"), "a field of the protocol is no option: {shown}");
    }
    let dry = stopped(v1::Run { strategy, dry_run: true, ..run("2", 2, State::Succeeded) });
    fake.methods.get_run.will(Ok(v1::GetRunResponse { run: Some(dry) }));
    let output = mirrorctl(&fake, &["plan", "get", "2"]).await;
    assert!(
        text(&output.stdout).contains("mirrorctl run create t --strategy platform_to_gbp --plan 2 --override-guard"),
        "{output:?}"
    );
}

#[tokio::test]
async fn a_plan_is_shown_as_text_json_and_markdown() {
    let fake = Fake::start().await;
    for _ in 0..3 {
        fake.methods.get_run.will(Ok(v1::GetRunResponse { run: Some(planned(State::Succeeded)) }));
    }
    let mut shown = Vec::new();
    for format in ["text", "json", "markdown"] {
        let output = mirrorctl(&fake, &["plan", "get", "1", "--output", format]).await;
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        shown.push(text(&output.stdout).to_owned());
    }
    assert!(shown[0].starts_with("+ additional  gcid:bakery"), "{}", shown[0]);
    let json: serde_json::Value = serde_json::from_str(&shown[1]).expect("JSON");
    assert_eq!(json["changes"][0]["operation"], "create");
    assert!(shown[2].contains("\n\n| change | before | after |"), "{}", shown[2]);

    fake.methods.get_run.will(Ok(v1::GetRunResponse { run: Some(run("1", 1, State::Queued)) }));
    let output = mirrorctl(&fake, &["plan", "get", "1"]).await;
    assert_eq!((output.status.code(), output.stdout.len()), (Some(6), 0));
}

#[tokio::test]
async fn a_plan_in_a_ticket_names_its_tenant_run_and_strategy() {
    let fake = Fake::start().await;
    let strategy = v1::Strategy::PlatformToGbp.into();
    let run = v1::Run { tenant: "tenants/store-1".into(), strategy, ..planned(State::Succeeded) };
    fake.methods.get_run.will(Ok(v1::GetRunResponse { run: Some(run) }));
    let output = mirrorctl(&fake, &["plan", "get", "1", "--output", "markdown"]).await;
    let first = text(&output.stdout).lines().next();
    assert_eq!(first, Some(r"Plan of dry run 1 of tenant store-1, strategy platform\_to\_gbp"));
}
