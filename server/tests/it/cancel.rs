//! Cancelling: at once while a run waits, before it writes while it works, and not at all after that.

use category_mirror_client::{Run, RunState, Strategy};
use serde_json::{Value, json};
use sqlx::Connection;

use super::{
    replica::{Door, idle, replica},
    service::{self, Service, Setup},
};

async fn accept(service: &Service) -> Run {
    service.client.mirror("store", Strategy::PlatformToGbp).send().await.expect("accepted").run
}

async fn running(service: &Service, name: &str) {
    let mut snapshots = service.client.watch_run(name).send();
    while let Some(run) = snapshots.next().await {
        if run.expect("a snapshot").state == RunState::Running {
            return;
        }
    }
    panic!("the run ended before it was seen running");
}

#[tokio::test]
async fn a_queued_run_is_cancelled_at_once() {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe"], "bar", &[]).await;
    let run = accept(&service).await;

    let cancelled = service.client.cancel_run(&run.name).send().await.expect("cancelled");

    assert_eq!((cancelled.state, cancelled.attempt), (RunState::Cancelled, 0));
    assert!(cancelled.end_time.is_some() && !cancelled.cancel_requested);
    // The tenant is free again, and nobody carries the cancelled one out.
    let next = accept(&service).await;
    assert_ne!(next.name, run.name);
    replica(&service, Setup::default(), &service.google.endpoint).await;
    assert_eq!(service.ended(&next.name).await.state, RunState::Succeeded);
    assert_eq!(service.client.get_run(&run.name).send().await.expect("a run"), cancelled);
    let stats = service.client.get_sync_stats().send().await.expect("stats");
    assert_eq!((stats.cancelled_runs, stats.succeeded_runs, stats.success_rate_percent), (1, 1, Some(100.0)));
}

#[tokio::test]
async fn a_running_run_is_cancelled_before_it_writes() {
    let service = service::start().await;
    service.with_store(&["cafe"], "bar", &[]).await;
    // Nobody reads the platform's side before this transaction ends.
    let mut holder = sqlx::PgConnection::connect(&service.database().url()).await.expect("connected");
    let lock = "begin; lock table tenant_category in access exclusive mode";
    sqlx::raw_sql(lock).execute(&mut holder).await.expect("locked");
    let run = accept(&service).await;
    running(&service, &run.name).await;

    let asked = service.client.cancel_run(&run.name).send().await.expect("asked");
    assert_eq!((asked.state, asked.cancel_requested), (RunState::Running, true));
    sqlx::raw_sql("commit").execute(&mut holder).await.expect("released");

    let run = service.ended(&run.name).await;
    assert_eq!((run.state, run.attempt), (RunState::Cancelled, 1));
    assert!(run.written_changes.is_empty() && !run.cancel_requested);
    assert_eq!(service.google.count("locations.patch").await, 0);
    assert_eq!(service.google.merchant("77").await, ["bar"]);
}

#[tokio::test]
async fn a_run_that_waits_for_another_attempt_is_cancelled_at_once() {
    let service = service::start().await;
    service.with_store(&["cafe"], "bar", &[]).await;
    let fault = json!({"method": "locations.get", "status": 503, "headers": {"retry-after": "3000"}});
    service.google.fault(fault).await;
    let run = accept(&service).await;
    let mut snapshots = service.client.watch_run(&run.name).send();
    while let Some(run) = snapshots.next().await {
        let run = run.expect("a snapshot");
        if run.state == RunState::Queued && run.attempt == 1 {
            break;
        }
    }

    let cancelled = service.client.cancel_run(&run.name).send().await.expect("cancelled");

    assert_eq!((cancelled.state, cancelled.attempt), (RunState::Cancelled, 1));
    assert_eq!(cancelled.reason.as_deref(), Some("UPSTREAM_UNAVAILABLE"), "it says what it was waiting for");
}

#[tokio::test]
async fn a_write_under_way_is_finished() {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe"], "bar", &[]).await;
    let door = Door::closed(&service.google.endpoint).await;
    replica(&service, Setup::default(), &door.endpoint).await;
    let run = accept(&service).await;
    door.update_waits().await;

    let asked = service.client.cancel_run(&run.name).send().await.expect("asked");
    assert_eq!((asked.state, asked.cancel_requested), (RunState::Running, true));
    door.open();

    let run = service.ended(&run.name).await;
    assert_eq!((run.state, run.written_changes.len()), (RunState::Succeeded, 1));
    assert!(!run.cancel_requested);
    assert_eq!(service.google.merchant("77").await, ["cafe"]);
}

/// The worker does not hear of the wish before its attempt fails: the table must not let the run wait for its next attempt then.
#[tokio::test]
async fn a_write_that_failed_under_way_is_not_tried_again_however_long_google_asks_to_wait() {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe"], "bar", &[]).await;
    let door = Door::closed(&service.google.endpoint).await;
    replica(&service, Setup::default(), &door.endpoint).await;
    let run = accept(&service).await;
    door.update_waits().await;
    let fault = json!({"method": "locations.patch", "status": 429, "headers": {"retry-after": "3000"}});
    service.google.fault(fault).await;
    sqlx::raw_sql("update run set cancel_requested = true").execute(&service.pool).await.expect("asked");
    door.open();

    let mut snapshots = service.client.watch_run(&run.name).send();
    let mut last = run;
    while let Some(run) = snapshots.next().await {
        last = run.expect("a snapshot");
        let wait = last.next_attempt_time.zip(last.start_time).map(|(due, start)| (due - start).num_seconds());
        assert!(wait.is_none_or(|seconds| seconds < 60), "it would stay queued for {wait:?} s");
    }
    assert_eq!(last.state, RunState::Cancelled);
    assert_eq!(service.google.count("locations.patch").await, 1);
    assert_eq!(service.google.writes().await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_terminal_run_stays_as_it_is() {
    let service = service::start().await;
    service.with_store(&["cafe"], "bar", &[]).await;
    for dry_run in [true, false] {
        let ended = service.mirror("store", dry_run).await;
        assert_eq!(service.client.cancel_run(&ended.name).send().await.expect("answered"), ended);
        assert_eq!(service.client.get_run(&ended.name).send().await.expect("a run"), ended);
    }
}

#[tokio::test]
async fn a_run_is_cancelled_under_its_own_name_only() {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe"], "bar", &[]).await;
    service.tenant("other", "78").await;
    let run = accept(&service).await;
    let id = run.name.rsplit('/').next().expect("an id");

    let error = service.client.cancel_run(format!("tenants/other/runs/{id}")).send().await.expect_err("not its run");
    assert_eq!(error.reason(), Some("RUN_NOT_FOUND"));
    assert_eq!(service.client.get_run(&run.name).send().await.expect("a run"), run);
    let cancelled = service.client.cancel_run(format!("tenants/-/runs/{id}")).send().await.expect("cancelled");
    assert_eq!((cancelled.name, cancelled.state), (run.name, RunState::Cancelled));
}
