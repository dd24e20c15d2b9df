//! A value that is changed back again and again is a person's to decide about.

use category_mirror::store::Store;
use category_mirror_client::{GbpView, Run, RunState, Strategy, SyncCause, SyncDecision};

use super::{slugs, synced};
use crate::service::Service;

/// `store`, whose value was changed back four times by `by`; the run that found it the fourth time.
async fn in_conflict(by: &str) -> (Service, Run) {
    let service = synced().await;
    for flip in 1..=3 {
        service.google.edit("77", by, "deli", &[]).await;
        let run = service.mirror("store", false).await;
        assert_eq!(run.state, RunState::Succeeded, "{by} {flip}: {run:?}");
        assert_eq!(service.has_cause(SyncCause::InSync).await.overwrite_times.len(), flip);
    }
    assert!(!service.sync().await.in_conflict, "three times are not too many");
    service.google.edit("77", by, "deli", &[]).await;
    let run = service.mirror("store", false).await;
    (service, run)
}

fn is_left_alone(run: &Run) {
    assert_eq!((run.state, run.reason.as_deref()), (RunState::Skipped, Some("EDIT_CONFLICT")), "{run:?}");
    assert_eq!(run.written_changes, []);
    let error = run.error.as_ref().expect("why");
    assert!(error.message.contains("DecideTenantSync"), "{}", error.message);
}

#[tokio::test]
async fn more_than_three_flips_in_seven_days_keep_every_real_run_away() {
    for (by, cause) in [("owner", SyncCause::MerchantEdited), ("google", SyncCause::GoogleEdited)] {
        let (service, run) = in_conflict(by).await;

        is_left_alone(&run);
        assert_eq!(run.error.expect("why").metadata["overwrite_count"], "4");
        let sync = service.has_cause(cause).await;
        assert_eq!((sync.in_conflict, sync.overwrite_times.len(), sync.conflict_time.is_some()), (true, 4, true));
        let written = service.google.writes().await;
        is_left_alone(&service.mirror("store", false).await);
        let dry_runs = service.look().await;
        assert!(!dry_runs.plan.expect("a plan").is_in_sync(), "dry runs go on");
        let batch = service.client.mirror_all(Strategy::PlatformToGbp, 1).send().await.expect("accepted");
        let mut runs = service.client.watch_batch(&batch.name).send();
        let mut last = None;
        while let Some(run) = runs.next().await {
            last = Some(run.expect("a snapshot"));
        }
        let last = last.expect("its run");
        is_left_alone(&service.client.get_run(&last.name).send().await.expect("there"));
        assert_eq!(service.google.writes().await, written);
        let listed = service.client.list_tenant_syncs().in_conflict_only().send().collect().await.expect("listed");
        assert_eq!(listed.len(), 1);
        let sampled = Store::new(service.pool.clone()).in_conflict_sample().await.expect("counted");
        assert_eq!(sampled, 1, "what the metrics say, and with them the alert");
    }
}

#[tokio::test]
async fn flips_of_more_than_seven_days_ago_count_no_more() {
    let service = synced().await;
    let old = "update tenant_sync set overwritten_at = array(select now() - interval '7 days 1 second' from generate_series(1, 9))";
    sqlx::query(old).execute(&service.pool).await.expect("aged");
    service.google.edit("77", "owner", "deli", &[]).await;

    let run = service.mirror("store", false).await;

    assert_eq!(run.state, RunState::Succeeded, "{run:?}");
    assert_eq!(service.sync().await.overwrite_times.len(), 1, "and are forgotten");
}

#[tokio::test]
async fn a_person_has_the_value_pushed_again() {
    let (service, _) = in_conflict("google").await;
    let decide =
        || service.client.decide_tenant_sync("store", SyncDecision::PushAgain, "we are a café").request_id("once");

    let decided = decide().send().await.expect("decided");

    let started = decided.run.expect("a run");
    let run = service.ended(&started.name).await;
    assert_eq!((run.state, run.strategy), (RunState::Succeeded, Strategy::PlatformToGbp), "{run:?}");
    let sync = service.has_cause(SyncCause::InSync).await;
    assert_eq!((sync.in_conflict, slugs(sync.public.as_ref())), (false, vec!["cafe".to_owned(), "bakery".to_owned()]));
    assert_eq!(sync.overwrite_times.len(), 0, "the count has begun anew");
    let decision = sync.decision.expect("the decision");
    assert_eq!(
        (decision.decision, decision.caller.as_str(), decision.reason.as_str()),
        (SyncDecision::PushAgain, "tester", "we are a café")
    );
    let again = decide().send().await.expect("the first answer");
    assert_eq!(again.run.expect("a run").name, started.name);
    assert_eq!(again.tenant_sync.decision.and_then(|d| d.decide_time), decision.decide_time, "decided once");
}

#[tokio::test]
async fn a_person_accepts_what_google_has() {
    for (by, view) in [("owner", GbpView::Merchant), ("google", GbpView::Public)] {
        let (service, _) = in_conflict(by).await;

        let decided = service.client.decide_tenant_sync("store", SyncDecision::AcceptGoogle, "they know better");
        let started = decided.send().await.expect("decided").run.expect("a run");

        let run = service.ended(&started.name).await;
        assert_eq!((run.state, run.strategy, run.view), (RunState::Succeeded, Strategy::GbpToPlatform, Some(view)));
        let sync = service.sync().await;
        assert_eq!((sync.in_conflict, slugs(sync.desired.as_ref())), (false, vec!["deli".to_owned()]));
        let run = service.mirror("store", false).await;
        assert_eq!(run.state, RunState::Succeeded, "{run:?}");
        service.has_cause(SyncCause::InSync).await;
        assert_eq!(service.google.merchant("77").await, ["deli"]);
    }
}

#[tokio::test]
async fn a_person_leaves_it_as_it_is_until_another_decision() {
    let (service, _) = in_conflict("owner").await;
    let written = service.google.writes().await;

    let ignore = service.client.decide_tenant_sync("store", SyncDecision::Ignore, "the owner wants it");
    assert_eq!(ignore.send().await.expect("decided").run, None);

    let sync = service.has_cause(SyncCause::MerchantEdited).await;
    assert_eq!((sync.in_conflict, sync.overwrite_times.len()), (false, 0), "nothing is left to decide");
    let run = service.mirror("store", false).await;
    is_left_alone(&run);
    assert_eq!(run.error.expect("why").metadata["decided_by"], "tester");
    assert_eq!(service.google.writes().await, written);
    assert_eq!(service.sync().await.overwrite_times.len(), 0, "and nobody counts");

    let push = service.client.decide_tenant_sync("store", SyncDecision::PushAgain, "changed our mind");
    let run = service.ended(&push.send().await.expect("decided").run.expect("a run").name).await;
    assert_eq!(run.state, RunState::Succeeded, "{run:?}");
    service.has_cause(SyncCause::InSync).await;
}

#[tokio::test]
async fn a_revert_is_a_persons_act_and_stays_allowed() {
    let (service, _) = in_conflict("owner").await;
    service.google.edit("77", "owner", "cafe", &["bakery"]).await;
    let wrote = service.client.list_sync_logs().state(RunState::Succeeded).dry_run(false).send().next().await;
    let wrote = wrote.expect("a run").expect("listed");

    let revert = service.client.revert_run(&wrote.name).send().await.expect("accepted");

    let run = service.ended(&revert.run.name).await;
    assert_eq!(run.state, RunState::Succeeded, "{run:?}");
    assert_eq!(service.google.merchant("77").await, ["deli"]);
}
