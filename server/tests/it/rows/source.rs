//! Without a complete read of both sides there is no plan, and without a source there is no success.

use category_mirror_client::{Run, RunState, Strategy};
use serde_json::{Value, json};

use crate::{
    replica::{idle, replica},
    service::{self, Service, Setup},
};

const NO_WRITES: [Value; 0] = [];

fn failed(run: &Run) -> (RunState, &str) {
    assert!(run.written_changes.is_empty(), "{run:?}");
    (run.state, run.reason.as_deref().unwrap_or_default())
}

/// Accepts a run that stays queued, lets `meanwhile` happen, and then has another server carry it out.
async fn queued_then(service: &Service, meanwhile: &str) -> Run {
    let mirrored = service.client.mirror("store", Strategy::PlatformToGbp).send().await.expect("accepted");
    sqlx::raw_sql(sqlx::AssertSqlSafe(meanwhile)).execute(&service.pool).await.expect("done");
    replica(service, Setup::default(), &service.google.endpoint).await;
    service.ended(&mirrored.run.name).await
}

#[tokio::test]
async fn d3_an_empty_source_deletes_nothing() {
    let service = service::start().await;
    service.with_store(&[], "cafe", &["bar"]).await;

    for dry_run in [true, false] {
        let run = service.mirror("store", dry_run).await;
        assert_eq!(failed(&run), (RunState::Failed, "EMPTY_SOURCE"));
        assert!(run.plan.is_none());
    }

    assert_eq!(service.google.merchant("77").await, ["cafe", "bar"]);
    assert_eq!(service.google.calls().await, json!({"writes": []}), "not even read");
}

#[tokio::test]
async fn d3_a_source_that_became_empty_while_the_run_was_queued_deletes_nothing() {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe"], "cafe", &["bar"]).await;

    let run = queued_then(&service, "delete from tenant_category").await;

    assert_eq!(failed(&run), (RunState::Failed, "EMPTY_SOURCE"));
    assert_eq!(service.google.merchant("77").await, ["cafe", "bar"]);
}

#[tokio::test]
async fn d3_a_tenant_that_is_gone_deletes_nothing() {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe"], "cafe", &["bar"]).await;

    let run = queued_then(&service, "delete from tenant").await;

    assert_eq!(failed(&run), (RunState::Failed, "TENANT_NOT_FOUND"));
    assert_eq!(service.google.calls().await, json!({"writes": []}));
}

#[tokio::test]
async fn d3_a_tenant_with_a_live_run_is_not_deleted() {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe"], "cafe", &["bar"]).await;
    let live = service.client.mirror("store", Strategy::PlatformToGbp).send().await.expect("accepted").run;

    let error = service.client.delete_tenant("store").send().await.expect_err("refused");

    assert_eq!((error.reason(), error.metadata()["run"].as_str()), (Some("RUN_IN_PROGRESS"), live.name.as_str()));
    service.client.get_tenant("store").send().await.expect("still there");
}

#[tokio::test]
async fn d3_a_location_that_cannot_be_read_is_not_written() {
    let service = service::start().await;
    service.with_store(&["cafe"], "bar", &["deli"]).await;
    let other = json!({"name": "locations/78", "categories": service::categories("cafe", &[])});
    for fault in [
        json!({"status": 404}),
        json!({"status": 403}),
        json!({"status": 500}),
        json!({"status": 200, "body": "<html>sign in</html>"}),
        json!({"status": 200, "body": {}}),
        json!({"status": 200, "body": other}),
        json!({"status": 200, "body": {"name": "locations/77", "categories": {"additionalCategories": []}}}),
        json!({"status": 200, "body": {"name": "locations/77", "categories": {"primaryCategory": {"name": "cafe"}}}}),
        json!({"drop": "before"}),
        json!({"drop": "truncate"}),
    ] {
        let mut scripted = fault.clone();
        scripted["method"] = json!("locations.get");
        service.google.fault(scripted).await;
        let run = service.mirror("store", false).await;
        assert_eq!(failed(&run).0, RunState::Failed, "{fault}");
        assert!(run.plan.is_none(), "{fault}");
        service.google.heal().await;
    }
    assert_eq!(service.google.count("locations.patch").await, 0);
    assert_eq!(service.google.merchant("77").await, ["bar", "deli"]);
}

#[tokio::test]
async fn d3_a_database_error_is_no_empty_set() {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe"], "bar", &["deli"]).await;

    // A statement that can never succeed: a defect, and not the tenant's fault, but the run must come to an end.
    let run = queued_then(&service, "alter table tenant_category rename to elsewhere").await;

    assert_eq!(failed(&run), (RunState::Failed, "ATTEMPTS_EXHAUSTED"));
    let error = run.error.expect("an error");
    assert_eq!((error.metadata["last_reason"].as_str(), error.attempt), ("INTERNAL", 5));
    assert!(!error.message.contains("tenant_category"), "what is inside stays inside: {}", error.message);
    assert_eq!(service.google.writes().await, NO_WRITES);
}

#[tokio::test]
async fn d3_a_database_that_is_away_costs_no_attempt() {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe"], "bar", &["deli"]).await;
    let run = service.client.mirror("store", Strategy::PlatformToGbp).send().await.expect("accepted").run;
    let away = "alter table tenant_category rename to elsewhere;
        create function away() returns boolean language plpgsql as
            $$ begin raise exception 'shutting down' using errcode = '57P01'; end $$;
        create view tenant_category as select * from elsewhere where away()";
    sqlx::raw_sql(away).execute(&service.pool).await.expect("done");
    replica(&service, Setup::default(), &service.google.endpoint).await;

    let mut snapshots = service.client.watch_run(&run.name).send();
    while let Some(run) = snapshots.next().await {
        if run.expect("a snapshot").uncounted_attempts > 0 {
            break;
        }
    }
    assert_eq!(service.google.writes().await, NO_WRITES);
    let back = "drop view tenant_category; drop function away; alter table elsewhere rename to tenant_category";
    sqlx::raw_sql(back).execute(&service.pool).await.expect("done");

    let run = service.ended(&run.name).await;
    assert_eq!((run.state, run.attempt), (RunState::Succeeded, 1));
    assert_eq!(service.google.merchant("77").await, ["cafe"]);
}

#[tokio::test]
async fn d30_a_run_needs_a_tenant_and_a_location() {
    let service = service::start().await;
    let tenant = service.client.create_tenant("store").display_name("Store").region_code("US").language_code("en");
    tenant.send().await.expect("created");

    for dry_run in [true, false] {
        let error = service.client.mirror("store", Strategy::PlatformToGbp).dry_run(dry_run).send().await;
        let error = error.expect_err("no location");
        assert_eq!((error.reason(), error.code().as_str()), (Some("NO_LOCATION"), "FAILED_PRECONDITION"));
        let error = service.client.mirror("nobody", Strategy::PlatformToGbp).dry_run(dry_run).send().await;
        assert_eq!(error.expect_err("no tenant").reason(), Some("TENANT_NOT_FOUND"));
    }
    assert_eq!(service.client.get_sync_stats().send().await.expect("stats").total_runs, 0);
}

#[tokio::test]
async fn d30_a_location_that_was_taken_away_while_the_run_was_queued_fails_it() {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe"], "cafe", &[]).await;

    let run = queued_then(&service, "update tenant set gbp_account = null, gbp_location = null").await;

    assert_eq!(failed(&run), (RunState::Failed, "NO_LOCATION"));
    assert_eq!(service.google.calls().await, json!({"writes": []}));
}

#[tokio::test]
async fn d30_a_location_that_google_does_not_know_fails_the_run() {
    let service = service::start().await;
    service.categories(&[("cafe", "gcid:cafe")]).await;
    service.tenant("store", "404").await;
    service.set("store", &["cafe"]).await;

    for dry_run in [true, false] {
        let run = service.mirror("store", dry_run).await;
        assert_eq!(failed(&run), (RunState::Failed, "LOCATION_NOT_FOUND"));
    }
}

#[tokio::test]
async fn d30_nothing_is_not_compared_with_nothing() {
    let service = service::start().await;
    service.with_store(&[], "cafe", &[]).await;
    let rate = async || service.client.get_sync_stats().send().await.expect("stats").success_rate_percent;

    assert_eq!(rate().await, None);
    service.mirror("store", true).await;
    assert_eq!(rate().await, None, "a dry run is no evidence, also one that failed");
    service.mirror("store", false).await;
    assert_eq!(rate().await, Some(0.0));
    service.set("store", &["cafe"]).await;
    service.mirror("store", true).await;
    assert_eq!(rate().await, Some(0.0));
    service.mirror("store", false).await;
    assert_eq!(rate().await, Some(50.0));
}
