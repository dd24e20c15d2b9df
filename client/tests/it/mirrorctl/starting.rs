//! Runs that are started, and watched to their end.

use category_mirror_proto::v1::{self, run::State};

use super::{mirrorctl, text, will_run};
use crate::fake::{Fake, run};

#[tokio::test]
async fn a_triggered_run_is_shown_to_its_end() {
    let fake = Fake::start().await;
    will_run(&fake, State::Succeeded);
    let output =
        mirrorctl(&fake, &["run", "create", "store-1", "--strategy", "platform_to_gbp", "--dry-run", "--wait"]).await;
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(shown.starts_with("accepted tenants/t/runs/1\n"), "{shown}");
    assert!(shown.contains("+ additional  gcid:bakery (Bakery\\u{1b}[2J)\n"), "{shown}");
    assert!(!shown.contains('\u{1b}'), "no escapes in a pipe: {shown:?}");
    let asked = fake.methods.mirror_categories.asked();
    assert!(asked[0].message.dry_run);
    assert_eq!(asked[0].authorization.as_deref(), Some("Bearer s3cret"));
}

#[tokio::test]
async fn programs_get_a_json_object_a_line() {
    let fake = Fake::start().await;
    will_run(&fake, State::Failed);
    let output =
        mirrorctl(&fake, &["run", "create", "a", "--strategy", "platform_to_gbp", "--wait", "--output", "json"]).await;
    assert_eq!(output.status.code(), Some(1), "the run failed");
    let lines: Vec<serde_json::Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0]["run"]["strategy"], "unknown_0");
    assert_eq!(lines[1]["state"], "queued");
    assert_eq!(lines[2]["plan"]["changes"][0]["after"]["category"]["name"], "categories/gcid:bakery");
}

#[tokio::test]
async fn a_guard_is_lifted_with_a_reason_only() {
    let fake = Fake::start().await;
    will_run(&fake, State::Succeeded);
    let lift = [
        "run",
        "create",
        "a",
        "--strategy",
        "platform_to_gbp",
        "--plan",
        "7",
        "--override-guard",
        "removals",
        "--override-guard",
        "primary_change",
    ];
    let output = mirrorctl(&fake, &lift).await;
    assert_eq!(output.status.code(), Some(2), "no reason");
    let output = mirrorctl(&fake, &[&lift[..], &["--reason", "ticket 7"]].concat()).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));

    let reverted = v1::RevertRunResponse { run: Some(run("2", 1, State::Queued)), joined: false };
    fake.methods.revert_run.will(Ok(reverted));
    let output = mirrorctl(&fake, &["run", "revert", "1"]).await;
    assert_eq!(text(&output.stdout), "accepted tenants/t/runs/2\n");
    let asked = fake.methods.mirror_categories.asked();
    let message = &asked[0].message;
    assert_eq!((message.plan.as_str(), message.reason.as_str()), ("tenants/-/runs/7", "ticket 7"));
    assert_eq!(message.override_guards, ["removals", "primary_change"]);
    assert_eq!(fake.methods.revert_run.asked()[0].message.name, "tenants/-/runs/1");
}

#[tokio::test]
async fn a_decision_overrides_guards_and_its_state_is_shown() {
    let fake = Fake::start().await;
    let decision = v1::TenantSyncDecision {
        decision: v1::tenant_sync_decision::Decision::PushAgain.into(),
        caller: "me".into(),
        reason: "we are a café".into(),
        run: "tenants/t/runs/1".into(),
        state: v1::tenant_sync_decision::State::Failed.into(),
        run_reason: "GUARD".into(),
        ..Default::default()
    };
    let tenant_sync =
        Some(v1::TenantSync { tenant: "tenants/t".into(), decision: Some(decision), ..Default::default() });
    let run = v1::Run {
        decision: v1::tenant_sync_decision::Decision::PushAgain.into(),
        overridden_checks: vec!["cooldown".into(), "conflict".into()],
        ..run("1", 1, State::Queued)
    };
    fake.methods.decide_tenant_sync.will(Ok(v1::DecideTenantSyncResponse { tenant_sync, run: Some(run.clone()) }));
    let arguments = [
        "sync",
        "decide",
        "t",
        "push_again",
        "--reason",
        "we are a café",
        "--override-guard",
        "primary_change,removals",
    ];
    let output = mirrorctl(&fake, &arguments).await;
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(shown.contains("push_again by me: we are a café"), "{shown}");
    assert!(shown.contains("tenants/t/runs/1") && shown.contains("failed: GUARD"), "{shown}");
    assert_eq!(fake.methods.decide_tenant_sync.asked()[0].message.override_guards, ["primary_change", "removals"]);

    fake.methods.get_run.will(Ok(v1::GetRunResponse { run: Some(run) }));
    let shown = mirrorctl(&fake, &["run", "get", "tenants/t/runs/1"]).await;
    let shown = text(&shown.stdout);
    assert!(shown.contains("cooldown") && shown.contains("conflict") && shown.contains("push_again"), "{shown}");
}
