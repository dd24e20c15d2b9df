//! One live run a tenant, one row a run, and one cooldown for all servers.

use std::{collections::BTreeSet, time::Duration};

use category_mirror_client::{AcceptedRun, RunState, Strategy};
use serde_json::json;

use crate::{
    replica::{idle, replica},
    service::{self, Setup},
};

fn cooldown() -> Setup {
    let mut setup = Setup::default();
    setup.runner.cooldown = Duration::from_secs(3600);
    setup
}

#[tokio::test]
async fn d12_fifty_presses_at_two_servers_are_one_run() {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe"], "bar", &[]).await;
    let other = replica(&service, idle(), &service.google.endpoint).await.client;

    let presses = (0..50).map(|n| {
        let client = if n % 2 == 0 { &service.client } else { &other };
        client.mirror("store", Strategy::PlatformToGbp).send()
    });
    let answers: Vec<AcceptedRun> = futures::future::try_join_all(presses).await.expect("all accepted");

    let names: BTreeSet<&str> = answers.iter().map(|answer| answer.run.name.as_str()).collect();
    assert_eq!(names.len(), 1);
    assert_eq!(answers.iter().filter(|answer| !answer.joined).count(), 1);
    let rows: i64 =
        sqlx::query_scalar("select count(*) from all_runs").fetch_one(&service.pool).await.expect("counted");
    assert_eq!(rows, 1);

    replica(&service, Setup::default(), &service.google.endpoint).await;
    assert_eq!(service.ended(&answers[0].run.name).await.state, RunState::Succeeded);
    assert_eq!(service.google.writes().await.len(), 1);
}

#[tokio::test]
async fn d12_a_live_run_of_another_kind_is_in_the_way() {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe"], "bar", &[]).await;
    let other = replica(&service, idle(), &service.google.endpoint).await.client;
    let live = service.client.mirror("store", Strategy::PlatformToGbp).dry_run(true).send().await.expect("accepted");

    let error = other.mirror("store", Strategy::PlatformToGbp).send().await.expect_err("a dry run is live");
    assert_eq!((error.code().as_str(), error.reason()), ("FAILED_PRECONDITION", Some("RUN_IN_PROGRESS")));
    assert_eq!(error.metadata()["run"], live.run.name);
    assert_eq!(error.metadata()["run_kind"], "platform_to_gbp, dry run");
    let joined = other.mirror("store", Strategy::PlatformToGbp).dry_run(true).send().await.expect("the same kind");
    assert_eq!((joined.joined, joined.run.name), (true, live.run.name));
}

#[tokio::test]
async fn d12_the_cooldown_holds_at_every_server_and_ends() {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe"], "bar", &[]).await;
    let first = replica(&service, cooldown(), &service.google.endpoint).await;
    assert_eq!(service.mirror("store", false).await.state, RunState::Succeeded);
    first.stop().await;
    service.google.edit("77", "owner", "bar", &[]).await;

    // Another server takes over, and honours what it did not see.
    replica(&service, cooldown(), &service.google.endpoint).await;
    let run = service.mirror("store", false).await;
    assert_eq!((run.state, run.reason.as_deref()), (RunState::Skipped, Some("COOLDOWN")));
    assert_eq!(service.google.merchant("77").await, ["bar"]);

    let past = "update last_success set ended_at = ended_at - interval '1 hour'";
    sqlx::raw_sql(past).execute(&service.pool).await.expect("set back");
    assert_eq!(service.mirror("store", false).await.state, RunState::Succeeded);
    assert_eq!(service.google.merchant("77").await, ["cafe"]);
}

#[tokio::test]
async fn d13_a_cooldown_hit_is_one_row_and_no_success() {
    let service = service::start_with(cooldown()).await;
    service.with_store(&["cafe"], "bar", &[]).await;

    assert_eq!(service.mirror("store", true).await.state, RunState::Succeeded);
    service.google.fault(json!({"method": "locations.get", "times": 1, "status": 404})).await;
    assert_eq!(service.mirror("store", false).await.state, RunState::Failed, "the dry run started no cooldown");
    assert_eq!(service.mirror("store", false).await.state, RunState::Succeeded, "nor did the failed run");
    let skipped = service.mirror("store", false).await;
    assert_eq!((skipped.state, skipped.reason.as_deref()), (RunState::Skipped, Some("COOLDOWN")));
    assert!(skipped.plan.is_none() && skipped.written_changes.is_empty() && skipped.end_time.is_some());
    assert_eq!(service.mirror("store", true).await.state, RunState::Succeeded, "a dry run does not obey it");

    let states: Vec<(String, bool)> =
        sqlx::query_as("select state, dry_run from all_runs order by id").fetch_all(&service.pool).await.expect("rows");
    let expected =
        [("succeeded", true), ("failed", false), ("succeeded", false), ("skipped", false), ("succeeded", true)];
    assert_eq!(states, expected.map(|(state, dry_run)| (state.to_owned(), dry_run)));
    let stats = service.client.get_sync_stats().send().await.expect("stats");
    let real = (stats.succeeded_runs, stats.failed_runs, stats.skipped_runs, stats.cancelled_runs, stats.live_runs);
    assert_eq!((stats.total_runs, stats.dry_runs, real), (5, 2, (1, 1, 1, 0, 0)));
    assert_eq!(stats.success_rate_percent, Some(50.0), "what was skipped is in neither part of the rate");
}
