//! A decision lifts what it must, says so, and is executed only when its run has succeeded.

use std::time::Duration;

use category_mirror::domain::{Flag, GuardLimits};
use category_mirror_client::{FlagState, Run, RunState, Strategy, SyncDecision, SyncDecisionState, TenantSync};
use serde_json::json;

use super::slugs;
use crate::{
    replica::{Replica, idle, replica},
    service::{self, Service, Setup},
};

/// Within the cooldown for good, and with the guards of the contract.
fn strict(mut setup: Setup) -> Setup {
    (setup.runner.cooldown, setup.runner.guards) = (Duration::from_secs(3600), GuardLimits::default());
    setup
}

/// `store`, which runs of both strategies have synced just now, and whose owner has then changed everything, again: a person has to decide.
async fn in_conflict(setup: Setup) -> Service {
    let service = service::start_with(strict(setup)).await;
    service.with_store(&["cafe", "bakery"], "cafe", &["bakery"]).await;
    let worker = work(&service).await;
    for strategy in [Strategy::PlatformToGbp, Strategy::GbpToPlatform] {
        let run = service.client.mirror("store", strategy).send().await.expect("accepted").run;
        assert_eq!(service.ended(&run.name).await.state, RunState::Succeeded);
    }
    worker.stop().await;
    let flips = "update tenant_sync set conflict_at = now(), overwritten_at = array[now(), now(), now(), now()]";
    sqlx::raw_sql(flips).execute(&service.pool).await.expect("contested");
    service.google.edit("77", "owner", "deli", &[]).await;
    service
}

/// A server that executes runs.
async fn work(service: &Service) -> Replica {
    replica(service, strict(Setup::default()), &service.google.endpoint).await
}

async fn decide(service: &Service, decision: SyncDecision, guards: &[&str]) -> (TenantSync, Run) {
    let request = service.client.decide_tenant_sync("store", decision, "we are a café");
    let decided = request.override_guards(guards.iter().copied()).send().await.expect("decided");
    (decided.tenant_sync, decided.run.expect("a run"))
}

const BOTH: [SyncDecision; 2] = [SyncDecision::PushAgain, SyncDecision::AcceptGoogle];
const GUARDS: [&str; 2] = ["primary_change", "removed_share"];

#[tokio::test]
async fn a_decision_overrides_the_cooldown_and_the_guards_that_it_names_and_its_run_says_so() {
    for decision in BOTH {
        let service = in_conflict(idle()).await;

        let (sync, run) = decide(&service, decision, &GUARDS).await;

        let pending = sync.decision.expect("the decision");
        assert_eq!((pending.state, pending.run.as_ref()), (SyncDecisionState::Pending, Some(&run.name)));
        assert!(sync.in_conflict, "{decision}: the mark stays until the run has succeeded");
        let _worker = work(&service).await;
        let run = service.ended(&run.name).await;
        assert_eq!(run.state, RunState::Succeeded, "{decision}: {run:?}");
        let checks = if decision == SyncDecision::PushAgain { vec!["cooldown", "conflict"] } else { vec!["cooldown"] };
        assert_eq!(run.decision, Some(decision));
        assert_eq!(run.overridden_checks, checks);
        assert_eq!(run.overridden_guards, GUARDS);
        assert_eq!(run.override_reason.as_deref(), Some("we are a café"));
        let sync = service.sync().await;
        let executed = sync.decision.expect("the decision");
        assert_eq!((executed.state, executed.run_reason), (SyncDecisionState::Executed, None));
        assert_eq!((sync.in_conflict, sync.overwrite_times.len()), (false, 0), "{decision}");
        let wanted = if decision == SyncDecision::PushAgain { vec!["cafe", "bakery"] } else { vec!["deli"] };
        assert_eq!(slugs(sync.merchant.as_ref()), wanted);
        assert_eq!(slugs(sync.desired.as_ref()), wanted);
    }
}

/// What keeps a decision's run from succeeding.
const OBSTACLES: [&str; 5] = ["guard", "google", "flag", "cancel", "crashes"];

/// Lets the run of a decision end without success. Returns its reason.
async fn ends_without_success(service: &Service, run: &Run, obstacle: &str) -> Option<String> {
    match obstacle {
        "google" => service.google.fault(json!({"method": "locations.get", "status": 403})).await,
        "flag" => {
            let off = service.client.update_flag(Flag::TenantGbpCategorySync.as_str()).state(FlagState::Off);
            off.reason("stop").send().await.expect("switched off");
        }
        "cancel" => drop(service.client.cancel_run(&run.name).send().await.expect("cancelled")),
        "crashes" => {
            let lost = "update run set state = 'running', fencing_token = 1, lease_expires_at = now() - interval '1 s', lease_expirations = 100";
            sqlx::raw_sql(lost).execute(&service.pool).await.expect("lost");
        }
        _ => {}
    }
    let _worker = work(service).await;
    let run = service.ended(&run.name).await;
    assert_ne!(run.state, RunState::Succeeded, "{obstacle}: {run:?}");
    assert_eq!(run.written_changes, []);
    service.google.heal().await;
    run.reason.or(Some("CANCELLED".to_owned()))
}

#[tokio::test]
async fn a_decision_whose_run_has_not_succeeded_is_not_over_whatever_was_in_its_way() {
    for decision in BOTH {
        for obstacle in OBSTACLES {
            let service = in_conflict(idle()).await;
            let guards: &[&str] = if obstacle == "guard" { &[] } else { &GUARDS };
            let (_, run) = decide(&service, decision, guards).await;

            let reason = ends_without_success(&service, &run, obstacle).await;

            let sync = service.sync().await;
            let failed = sync.decision.clone().expect("the decision");
            assert_eq!(
                (failed.state, failed.run.as_ref(), &failed.run_reason),
                (SyncDecisionState::Failed, Some(&run.name), &reason),
                "{decision} {obstacle}"
            );
            assert!(sync.in_conflict && sync.overwrite_times.len() == 4, "{decision} {obstacle}: {sync:?}");
            let listed = service.client.list_tenant_syncs().in_conflict_only().send().collect().await.expect("listed");
            assert_eq!(listed[0].decision, sync.decision);
        }
    }
}

#[tokio::test]
async fn what_was_to_be_left_alone_is_a_conflict_again_until_another_decision_was_executed() {
    let service = in_conflict(idle()).await;
    let ignore = service.client.decide_tenant_sync("store", SyncDecision::Ignore, "the owner wants it");
    let sync = ignore.send().await.expect("decided").tenant_sync;
    assert_eq!((sync.in_conflict, sync.decision.expect("it").state), (false, SyncDecisionState::Executed));

    let (sync, run) = decide(&service, SyncDecision::PushAgain, &[]).await;
    assert!(sync.in_conflict);
    ends_without_success(&service, &run, "guard").await;
    assert!(service.sync().await.in_conflict);

    let (_, run) = decide(&service, SyncDecision::PushAgain, &GUARDS).await;
    let _worker = work(&service).await;
    assert_eq!(service.ended(&run.name).await.state, RunState::Succeeded);
    assert!(!service.sync().await.in_conflict);
}

#[tokio::test]
async fn guards_of_a_decision_are_checked_and_need_a_run() {
    let service = in_conflict(idle()).await;
    let decide = |decision, guard: &str| {
        service.client.decide_tenant_sync("store", decision, "why").override_guards([guard.to_owned()]).send()
    };
    let before = service.sync().await;
    for (decision, guard, field) in [
        (SyncDecision::PushAgain, "batch_primary", "override_guards[0]"),
        (SyncDecision::AcceptGoogle, "", "override_guards[0]"),
        (SyncDecision::Ignore, "primary_change", "override_guards"),
    ] {
        let refused = decide(decision, guard).await.expect_err("refused");
        assert_eq!(refused.field_violations()[0].field, field, "{refused}");
    }
    assert_eq!(service.sync().await, before);
}
