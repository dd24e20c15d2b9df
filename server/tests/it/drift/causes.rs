//! Each cause is reached by a story of its own, and no two at once.

use category_mirror_client::{GbpView, RunState, Strategy, SyncCause};
use serde_json::json;

use super::{slugs, synced};
use crate::service::{self, Setup};

#[tokio::test]
async fn in_sync_is_what_a_successful_real_run_leaves() {
    let service = synced().await;

    let sync = service.has_cause(SyncCause::InSync).await;

    let both = ["cafe", "bakery"];
    for set in [&sync.desired, &sync.written, &sync.merchant, &sync.public] {
        assert_eq!(slugs(set.as_ref()), both);
    }
    assert_eq!((sync.out_of_sync, sync.in_review, sync.in_conflict), (false, None, false));
    let run = service.client.get_last_run("store", Strategy::PlatformToGbp).send().await.expect("a run");
    assert_eq!((sync.write_run.as_ref(), sync.observe_run.as_ref()), (Some(&run.name), Some(&run.name)));
    assert_eq!((sync.write_time, sync.last_success_time), (run.end_time, run.end_time));
}

#[tokio::test]
async fn a_run_that_finds_what_is_known_records_nothing() {
    let service = synced().await;
    let xmin = "select xmin::text from tenant_sync";
    let row = async || -> String { sqlx::query_scalar(xmin).fetch_one(&service.pool).await.expect("a row") };
    let before = row().await;
    let asked = service.google.count("locations.get").await;

    service.mirror("store", false).await;
    service.look().await;

    assert_eq!(row().await, before);
    assert_eq!(service.google.count("locations.get").await, asked + 2, "one request a look");
    assert_eq!(service.google.count("locations.getGoogleUpdated").await, 0, "and none for what the public sees");
}

#[tokio::test]
async fn platform_changed_when_the_tenant_has_other_categories() {
    let service = synced().await;
    service.set("store", &["cafe", "deli"]).await;
    assert_eq!(service.sync().await.cause, SyncCause::PlatformChanged, "at once, where one tenant is asked for");

    service.look().await;

    let sync = service.has_cause(SyncCause::PlatformChanged).await;
    assert_eq!(slugs(sync.desired.as_ref()), ["cafe", "deli"]);
    assert_eq!(slugs(sync.merchant.as_ref()), ["cafe", "bakery"]);
    assert!(sync.out_of_sync);
}

#[tokio::test]
async fn platform_changed_when_the_platform_has_nothing_to_write() {
    let service = synced().await;
    sqlx::query("delete from tenant_category").execute(&service.pool).await.expect("deleted");

    let run = service.mirror("store", true).await;

    assert_eq!((run.state, run.reason.as_deref()), (RunState::Failed, Some("EMPTY_SOURCE")));
    let sync = service.has_cause(SyncCause::PlatformChanged).await;
    assert_eq!(sync.desired, None);
    assert!(sync.desired_error.expect("why").contains("no categories"));
    assert_eq!(slugs(sync.merchant.as_ref()), ["cafe", "bakery"], "as it was read before");
}

#[tokio::test]
async fn platform_changed_after_a_write_was_taken_back() {
    let service = synced().await;
    let run = service.client.get_last_run("store", Strategy::PlatformToGbp).send().await.expect("a run");

    let revert = service.client.revert_run(&run.name).send().await.expect("accepted");
    let revert = service.ended(&revert.run.name).await;

    assert_eq!(revert.state, RunState::Succeeded, "{revert:?}");
    let sync = service.has_cause(SyncCause::PlatformChanged).await;
    assert_eq!(
        (slugs(sync.written.as_ref()), slugs(sync.merchant.as_ref())),
        (vec!["bar".to_owned()], vec!["bar".to_owned()])
    );
}

#[tokio::test]
async fn mapping_changed_when_a_category_stands_for_something_else() {
    let service = synced().await;
    let mapping = service.client.update_platform_category("bakery").gbp_category("gcid:wine_bar");
    mapping.send().await.expect("mapped");

    service.look().await;

    let sync = service.has_cause(SyncCause::MappingChanged).await;
    assert_eq!(slugs(sync.desired.as_ref()), ["cafe", "wine_bar"]);
}

#[tokio::test]
async fn merchant_edited_when_the_owner_changes_the_record() {
    let service = synced().await;
    service.google.edit("77", "owner", "cafe", &["wine_bar"]).await;

    service.look().await;

    let sync = service.has_cause(SyncCause::MerchantEdited).await;
    assert_eq!(slugs(sync.merchant.as_ref()), ["cafe", "wine_bar"]);
    assert_eq!(slugs(sync.written.as_ref()), ["cafe", "bakery"]);
    assert_eq!(sync.overwrite_times.len(), 1);
    service.look().await;
    assert_eq!(service.sync().await.overwrite_times.len(), 1, "the same edit is counted once");
}

#[tokio::test]
async fn google_edited_when_the_public_sees_something_else_and_a_real_run_takes_that_back() {
    let service = synced().await;
    service.google.edit("77", "google", "cafe", &["wine_bar"]).await;

    let run = service.look().await;

    let sync = service.has_cause(SyncCause::GoogleEdited).await;
    assert_eq!(slugs(sync.merchant.as_ref()), ["cafe", "bakery"]);
    assert_eq!(slugs(sync.public.as_ref()), ["cafe", "wine_bar"]);
    assert_eq!((run.counts.created, run.counts.deleted), (1, 1), "out of sync is a plan that is not empty");

    let run = service.mirror("store", false).await;
    assert_eq!((run.state, run.written_changes.len()), (RunState::Succeeded, 2), "{run:?}");
    let sync = service.has_cause(SyncCause::InSync).await;
    assert_eq!(slugs(sync.public.as_ref()), ["cafe", "bakery"]);
    assert_eq!(service.google.writes().await.len(), 2);
}

#[tokio::test]
async fn a_lost_answer_to_what_takes_googles_edit_back_is_no_lost_fact() {
    let service = synced().await;
    service.google.edit("77", "google", "bar", &[]).await;
    // The first is lost on the way, so that the merchant's record is as wanted all the same; of the second only the answer is lost.
    service.google.fault(json!({"method": "locations.patch", "times": 1, "drop": "before"})).await;

    let run = service.mirror("store", false).await;

    assert_eq!((run.state, run.written_changes.len()), (RunState::Succeeded, 2), "{run:?}");
    assert_eq!(service.google.writes().await.len(), 2, "one before, and one now");
    service.has_cause(SyncCause::InSync).await;

    service.google.edit("77", "google", "bar", &[]).await;
    service.google.fault(json!({"method": "locations.patch", "times": 1, "drop": "after"})).await;
    let run = service.mirror("store", false).await;
    assert_eq!((run.state, run.written_changes.len()), (RunState::Succeeded, 2), "{run:?}");
    assert_eq!(service.google.writes().await.len(), 3, "it was not sent again");
}

#[tokio::test]
async fn edit_in_review_is_not_written_again_until_it_is_published() {
    let service = service::start().await;
    service.with_store(&["cafe", "bakery"], "bar", &[]).await;
    service.google.review(true).await;

    service.mirror("store", false).await;

    let sync = service.has_cause(SyncCause::EditInReview).await;
    assert_eq!(slugs(sync.in_review.as_ref()), ["cafe", "bakery"]);
    assert_eq!(slugs(sync.public.as_ref()), ["bar"]);
    assert!(!sync.out_of_sync);
    let written = service.google.writes().await;
    for dry_run in [false, true, false] {
        let run = service.mirror("store", dry_run).await;
        assert_eq!(run.state, RunState::Succeeded, "{run:?}");
        assert!(run.plan.expect("a plan").is_in_sync());
    }
    assert_eq!(service.google.writes().await, written);
    assert!(service.has_cause(SyncCause::EditInReview).await.overwrite_times.is_empty());

    service.google.publish("77").await;
    service.look().await;
    service.has_cause(SyncCause::InSync).await;
}

#[tokio::test]
async fn category_retired_when_googles_list_has_it_no_more() {
    let service = synced().await;
    let refresh = async || service.client.refresh_taxonomy("US", "en").send().await.expect("imported");
    refresh().await;
    service.look().await;
    service.has_cause(SyncCause::InSync).await;
    service.google.change_taxonomy(json!({"retire": ["gcid:bakery"]})).await;
    refresh().await;

    let sync = service.has_cause(SyncCause::CategoryRetired).await;
    assert_eq!(sync.retired_categories, ["categories/gcid:bakery"], "known as soon as the list is");
    for dry_run in [true, false] {
        service.mirror("store", dry_run).await;
        service.has_cause(SyncCause::CategoryRetired).await;
    }

    service.google.change_taxonomy(json!({"add": {"gcid:bakery": "Bakery"}})).await;
    refresh().await;
    service.look().await;
    service.has_cause(SyncCause::InSync).await;
}

#[tokio::test]
async fn never_synced_until_a_real_run_has_succeeded() {
    let service = service::start().await;
    service.with_store(&["cafe", "bakery"], "bar", &[]).await;
    let unseen = service.sync().await;
    assert_eq!((unseen.cause, unseen.observe_time, unseen.out_of_sync), (SyncCause::NeverSynced, None, false));
    assert_eq!(slugs(unseen.desired.as_ref()), ["cafe", "bakery"]);

    service.look().await;

    let sync = service.has_cause(SyncCause::NeverSynced).await;
    assert_eq!((sync.out_of_sync, sync.written.is_none()), (true, true));
    service.mirror("store", false).await;
    service.has_cause(SyncCause::InSync).await;
}

#[tokio::test]
async fn a_failed_read_is_unknown_and_never_in_sync() {
    let service = synced().await;
    service.google.edit("77", "google", "deli", &[]).await;
    service.look().await;
    for method in ["locations.get", "locations.getGoogleUpdated"] {
        for fault in [json!({"status": 500}), json!({"status": 403}), json!({"status": 200, "body": "<html>"})] {
            for dry_run in [true, false] {
                let mut scripted = fault.clone();
                scripted["method"] = json!(method);
                service.google.fault(scripted).await;

                let run = service.mirror("store", dry_run).await;

                assert_eq!(run.state, RunState::Failed, "{method} {fault}");
                let sync = service.has_cause(SyncCause::NotKnown).await;
                assert_eq!((sync.observe_failure_run.as_ref(), sync.out_of_sync), (Some(&run.name), false), "{fault}");
                assert_eq!(slugs(sync.public.as_ref()), ["deli"], "what was known before is still told");
                service.google.heal().await;
                service.look().await;
                assert_eq!(service.has_cause(SyncCause::GoogleEdited).await.observe_failure_time, None);
            }
        }
    }
    assert_eq!(service.sync().await.overwrite_times.len(), 1, "it is the same edit");
    service.mirror("store", false).await;
    service.has_cause(SyncCause::InSync).await;
}

#[tokio::test]
async fn a_write_whose_outcome_nobody_knows_is_unknown() {
    let setup = Setup { max_attempts: 1, ..Setup::default() };
    let service = service::start_with(setup).await;
    service.with_store(&["cafe", "bakery"], "cafe", &["bakery"]).await;
    service.mirror("store", false).await;
    service.has_cause(SyncCause::InSync).await;
    service.set("store", &["cafe", "deli"]).await;
    service.google.fault(json!({"method": "locations.patch", "status": 503})).await;

    let run = service.mirror("store", false).await;

    assert_eq!((run.state, run.reason.as_deref()), (RunState::Failed, Some("ATTEMPTS_EXHAUSTED")));
    service.has_cause(SyncCause::NotKnown).await;
    service.google.heal().await;
    service.look().await;
    service.has_cause(SyncCause::PlatformChanged).await;
}

#[tokio::test]
async fn when_google_wins_the_tenant_is_in_sync_with_the_view_that_was_taken_over() {
    let service = synced().await;
    service.google.edit("77", "owner", "deli", &["bar"]).await;
    assert_eq!(service.take_over().await.state, RunState::Succeeded);
    let sync = service.has_cause(SyncCause::InSync).await;
    assert_eq!(slugs(sync.desired.as_ref()), ["deli", "bar"]);
    assert!(sync.overwrite_times.is_empty(), "nothing had to be written again");

    service.google.edit("77", "google", "cafe", &[]).await;
    let public = service.client.mirror("store", Strategy::GbpToPlatform).view(GbpView::Public).send().await;
    service.ended(&public.expect("accepted").run.name).await;
    let sync = service.has_cause(SyncCause::PlatformChanged).await;
    assert_eq!(slugs(sync.desired.as_ref()), ["cafe"], "which the merchant's record does not say yet");
    service.mirror("store", false).await;
    service.has_cause(SyncCause::InSync).await;
}

#[tokio::test]
async fn another_location_is_another_story() {
    let service = synced().await;
    service.google.put("78", "bar", &[]).await;
    service.client.update_tenant("store").location("1", "78").send().await.expect("updated");

    assert_eq!(service.of_cause(SyncCause::InSync).await, [""; 0]);
    service.look().await;

    service.has_cause(SyncCause::NeverSynced).await;
    service.client.delete_tenant("store").send().await.expect("deleted");
    assert_eq!(service.of_cause(SyncCause::NeverSynced).await, [""; 0], "it goes with its tenant");
}
