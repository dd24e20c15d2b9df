//! What Google says of a location as a whole: edits that it does not publish, and locations that are left alone.

use category_mirror_client::{LocationIssue, Run, RunState, SyncCause};
use serde_json::{Value, json};

use super::{slugs, synced};
use crate::service::{self, Service};

/// Each condition in which Google takes edits and does not publish them, the issue, and the cause.
fn unpublished() -> [(Value, Vec<LocationIssue>, SyncCause); 3] {
    use LocationIssue::{Duplicate, NoVoiceOfMerchant};
    let (silent, copy) = (json!({"hasVoiceOfMerchant": false}), json!({"duplicateLocation": "locations/1"}));
    let both = json!({"hasVoiceOfMerchant": false, "duplicateLocation": "locations/1"});
    [
        (json!({"metadata": silent}), vec![NoVoiceOfMerchant], SyncCause::NoVoiceOfMerchant),
        (json!({"metadata": copy}), vec![Duplicate], SyncCause::DuplicateLocation),
        (json!({"metadata": both}), vec![Duplicate, NoVoiceOfMerchant], SyncCause::DuplicateLocation),
    ]
}

fn healthy() -> Value {
    json!({"metadata": {"hasVoiceOfMerchant": true, "duplicateLocation": null}, "openInfo": {"status": "OPEN"}})
}

fn closed() -> Value {
    json!({"openInfo": {"status": "CLOSED_PERMANENTLY"}})
}

fn issues(run: &Run) -> &[LocationIssue] {
    &run.plan.as_ref().expect("a plan").location_issues
}

/// How many tenants are out of sync.
async fn out_of_sync(service: &Service) -> i64 {
    service.client.get_sync_stats().send().await.expect("stats").out_of_sync_tenants
}

#[tokio::test]
async fn what_google_does_not_publish_is_written_and_never_called_in_sync() {
    for (condition, found, cause) in unpublished() {
        let service = service::start().await;
        service.with_store(&["cafe", "bakery"], "bar", &[]).await;
        service.google.condition("77", condition).await;

        let planned = service.look().await;
        assert_eq!((issues(&planned), planned.plan.as_ref().map(|plan| plan.is_in_sync())), (&*found, Some(false)));
        let sync = service.has_cause(SyncCause::NeverSynced).await;
        assert_eq!(sync.location_issues, found, "also where another cause comes first");

        let run = service.mirror("store", false).await;
        assert_eq!((run.state, issues(&run)), (RunState::Succeeded, &*found), "{run:?}");
        assert_eq!(service.google.merchant("77").await, ["cafe", "bakery"]);
        let sync = service.has_cause(cause).await;
        assert_eq!((sync.out_of_sync, &sync.location_issues), (true, &found));
        assert_eq!(out_of_sync(&service).await, 1);

        // It is as the platform wants: nothing is written again, and nothing is new.
        let row = "select xmin::text from tenant_sync";
        let before: String = sqlx::query_scalar(row).fetch_one(&service.pool).await.expect("a row");
        for dry_run in [true, false] {
            let run = service.mirror("store", dry_run).await;
            assert_eq!((run.state, issues(&run)), (RunState::Succeeded, &*found));
        }
        assert_eq!(service.google.writes().await.len(), 1);
        let after: String = sqlx::query_scalar(row).fetch_one(&service.pool).await.expect("a row");
        assert_eq!(before, after);

        // The flag alone changes.
        service.google.condition("77", healthy()).await;
        let run = service.look().await;
        assert_eq!(issues(&run), []);
        let sync = service.has_cause(SyncCause::InSync).await;
        assert_eq!((sync.out_of_sync, sync.location_issues.len()), (false, 0));
    }
}

#[tokio::test]
async fn a_location_that_loses_its_voice_is_found_by_the_next_run() {
    for (condition, found, cause) in unpublished() {
        let service = synced().await;
        service.has_cause(SyncCause::InSync).await;
        service.google.condition("77", condition).await;
        service.look().await;
        assert_eq!(service.has_cause(cause).await.location_issues, found);
        // What the public sees is Google's, and no update would change that: it is not written again and again, and nobody flips.
        service.google.edit("77", "google", "cafe", &["wine_bar"]).await;
        for _ in 0..3 {
            assert_eq!(service.mirror("store", false).await.state, RunState::Succeeded);
        }
        let sync = service.has_cause(cause).await;
        assert_eq!(
            (sync.overwrite_times.len(), slugs(sync.public.as_ref())),
            (0, vec!["cafe".into(), "wine_bar".into()])
        );
        assert_eq!(service.google.writes().await.len(), 1, "the first run's");
        // An edit of the merchant's record is one, as anywhere else.
        service.google.edit("77", "owner", "cafe", &["deli"]).await;
        service.look().await;
        assert_eq!(service.has_cause(SyncCause::MerchantEdited).await.location_issues, found);
    }
}

#[tokio::test]
async fn a_location_that_is_closed_for_good_is_left_alone() {
    let service = synced().await;
    service.google.condition("77", closed()).await;
    let writes = service.google.writes().await.len();

    // As it is wanted, and then not.
    for (wanted, differs) in [(["cafe", "bakery"], false), (["cafe", "deli"], true)] {
        service.set("store", &wanted).await;
        let planned = service.look().await;
        assert_eq!(issues(&planned), [LocationIssue::Closed]);
        let sync = service.has_cause(SyncCause::LocationClosed).await;
        assert_eq!((sync.out_of_sync, &*sync.location_issues), (true, &[LocationIssue::Closed][..]));

        let run = service.mirror("store", false).await;
        assert_eq!((run.state, run.reason.as_deref()), (RunState::Skipped, Some("LOCATION_CLOSED")), "{run:?}");
        let error = run.error.as_ref().expect("why");
        assert_eq!(error.metadata["location"], "locations/77");
        assert_eq!((run.written_changes.len(), issues(&run)), (0, &[LocationIssue::Closed][..]));
        assert_eq!(run.plan.as_ref().map(|plan| plan.is_in_sync()), Some(!differs));
        service.has_cause(SyncCause::LocationClosed).await;
    }
    assert_eq!(service.google.writes().await.len(), writes);
    assert_eq!(service.google.merchant("77").await, ["cafe", "bakery"]);

    service.google.condition("77", json!({"openInfo": {"status": "CLOSED_TEMPORARILY"}})).await;
    let run = service.mirror("store", false).await;
    assert_eq!((run.state, issues(&run)), (RunState::Succeeded, &[][..]), "that is no issue");
    service.has_cause(SyncCause::InSync).await;
}

#[tokio::test]
async fn an_answer_that_does_not_say_is_no_issue() {
    let service = synced().await;
    service.google.condition("77", json!({"metadata": {"hasVoiceOfMerchant": false}})).await;
    let body = json!({"name": "locations/77", "categories": service::categories("cafe", &["bakery"])});
    service.google.fault(json!({"method": "locations.get", "status": 200, "body": body})).await;
    let run = service.look().await;
    assert_eq!(issues(&run), []);
    service.has_cause(SyncCause::InSync).await;
}

#[tokio::test]
async fn tenants_are_counted_by_such_a_cause() {
    let service = synced().await;
    service.google.condition("77", closed()).await;
    service.look().await;
    assert_eq!(out_of_sync(&service).await, 1);
    let only = service.client.list_tenant_syncs().out_of_sync_only().send().collect().await.expect("listed");
    assert_eq!(only.len(), 1);
}
