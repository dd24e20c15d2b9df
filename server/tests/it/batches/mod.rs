//! Batches through the API: who may have one, of whom, and how it goes.

mod middle;
mod overrides;
mod scope;

pub(crate) use middle::{hold, somebody_waits};

use category_mirror_client::{Batch, BatchState, Client, RunState, Strategy};
use serde_json::json;

use super::{
    flags::until,
    replica::{idle, replica},
    service::{self, Service, Setup},
};

const WINS: Strategy = Strategy::PlatformToGbp;

/// Adds tenants `<organization>-000` and so on, each with a location and without categories.
async fn chain(service: &Service, organization: &str, tenants: i32) {
    sqlx::query(
        "insert into tenant (id, display_name, organization_id, gbp_account, gbp_location, region_code, language_code,
                             created_at, updated_at)
         select $1 || '-' || to_char(n, 'FM000'), 'Store', $1, '1', $1 || n, 'US', 'en', now(), now()
           from generate_series(0, $2 - 1) n",
    )
    .bind(organization)
    .bind(tenants)
    .execute(&service.pool)
    .await
    .expect("tenants");
}

/// Waits until a batch is as it should be.
async fn batch_is(client: &Client, batch: &Batch, what: &str, is_so: impl Fn(&Batch) -> bool) -> Batch {
    until(what, async || is_so(&client.get_batch(&batch.name).send().await.expect("the batch"))).await;
    client.get_batch(&batch.name).send().await.expect("the batch")
}

pub(crate) async fn is_over(client: &Client, batch: &Batch) -> Batch {
    batch_is(client, batch, "the batch is over", Batch::is_terminal).await
}

/// The tenants of all runs, in the order in which they were started.
async fn started(service: &Service) -> Vec<String> {
    sqlx::query_scalar("select tenant_id from run_history where started_at is not null order by started_at")
        .fetch_all(&service.pool)
        .await
        .expect("read")
}

/// Stores of a chain that want `cafe`; `different` of them have `bar` besides at Google, which is to go.
pub(crate) async fn stores(service: &Service, count: usize, different: usize) {
    service.categories(&[("cafe", "gcid:cafe")]).await;
    chain(service, "chain", i32::try_from(count).expect("few")).await;
    for n in 0..count {
        service.set(&format!("chain-{n:03}"), &["cafe"]).await;
        let additional: &[&str] = if n < different { &["bar"] } else { &[] };
        service.google.put(&format!("chain{n}"), "cafe", additional).await;
    }
}

#[tokio::test]
async fn a_batch_is_answered_at_once_watched_to_its_end_and_counted() {
    let service = service::start().await;
    stores(&service, 3, 2).await;
    let batch = service.client.mirror_organization("chain", WINS).send().await.expect("accepted");
    assert_eq!((batch.tenant_count, batch.organization.as_deref()), (3, Some("organizations/chain")));

    let runs = service.client.watch_batch(&batch.name).send().collect().await.expect("to its end");
    let batch = service.client.get_batch(&batch.name).send().await.expect("the batch");
    assert_eq!((batch.state, batch.succeeded_count, batch.out_of_sync_count), (BatchState::Completed, 3, 2));
    assert_eq!((batch.change_counts.deleted, batch.change_counts.created), (2, 0));
    assert!(runs.iter().all(|run| run.batch.as_ref() == Some(&batch.name)));
    assert_eq!(service.google.merchant("chain0").await, ["cafe"]);
    let listed = service.client.list_batches().send().collect().await.expect("listed");
    assert_eq!(listed, [batch]);
}

#[tokio::test]
async fn the_stream_of_a_batch_tells_of_every_end_and_ends_with_it() {
    let service = service::start_with(idle()).await;
    chain(&service, "chain", 30).await;
    let batch = service.client.mirror_organization("chain", WINS).send().await.expect("accepted");
    let mut snapshots = service.client.watch_batch(&batch.name).send();
    snapshots.next().await.expect("one").expect("a snapshot");
    let _worker = replica(&service, Setup::default(), &service.google.endpoint).await;

    let mut ended = 0;
    while let Some(run) = snapshots.next().await {
        ended += usize::from(run.expect("a snapshot").is_terminal());
    }
    assert_eq!(ended, 30);
    assert_eq!(is_over(&service.client, &batch).await.failed_count, 30, "they have no categories");
}

#[tokio::test]
async fn somebody_who_waits_passes_a_batch_and_two_batches_take_turns() {
    let service = service::start_with(idle()).await;
    chain(&service, "one", 3).await;
    chain(&service, "two", 3).await;
    service.tenant("single", "77").await;
    for organization in ["one", "two"] {
        let batch = service.client.mirror_organization(organization, WINS).send().await.expect("accepted");
        batch_is(&service.client, &batch, "its runs are queued", |batch| batch.queued_count == 3).await;
    }
    let queued: Vec<String> = sqlx::query_scalar("select tenant_id from run where bulk order by fairness_rank, id")
        .fetch_all(&service.pool)
        .await
        .expect("read");
    assert_eq!(queued, ["one-000", "one-001", "two-000", "one-002", "two-001", "two-002"]);
    let single = service.client.mirror("single", WINS).send().await.expect("accepted").run;
    let mut alone = Setup::default();
    alone.runner.concurrency = 1;
    let _worker = replica(&service, alone, &service.google.endpoint).await;
    service.ended(&single.name).await;
    for batch in service.client.list_batches().send().collect().await.expect("listed") {
        is_over(&service.client, &batch).await;
    }

    assert_eq!(started(&service).await.len(), 7);
}

#[tokio::test]
async fn a_batch_changes_no_more_tenants_than_its_guard_allows_and_a_dry_one_says_so_before() {
    let service = service::start().await;
    stores(&service, 20, 6).await;
    let guarded = |batch: &Batch| {
        let guard = batch.guards.iter().find(|guard| guard.rule == "batch_tenants").expect("the guard").clone();
        (guard.value, guard.limit, guard.exceeded)
    };
    let dry_runs = service.client.mirror_organization("chain", WINS).dry_run(true).send().await.expect("accepted");
    let dry_runs = is_over(&service.client, &dry_runs).await;
    assert_eq!((dry_runs.succeeded_count, guarded(&dry_runs)), (20, (6, Some(4), true)));

    let real = service.client.mirror_organization("chain", WINS).send().await.expect("accepted");
    let real = is_over(&service.client, &real).await;
    assert_eq!((real.succeeded_count, real.failed_count, guarded(&real)), (18, 2, (6, Some(4), true)));
    assert_eq!(service.google.writes().await.len(), 4);
    let error = service.client.mirror_organization("chain", WINS).override_guards(["batch_tenants"], " ").send().await;
    assert_eq!(error.expect_err("no reason").field_violations()[0].field, "reason");
    let logs = service.client.list_sync_logs().send().collect().await.expect("listed");
    let refused: Vec<_> = logs.iter().filter(|run| run.state == RunState::Failed).collect();
    assert_eq!(refused.len(), 2);
    for run in refused {
        let error = run.error.as_ref().expect("an error");
        assert_eq!(error.reason, "GUARD");
        assert_eq!(json!(error.metadata), json!({"rule": "batch_tenants", "value": "5", "limit": "4"}));
        assert!(error.message.contains("override batch_tenants"), "{}", error.message);
    }

    let request = service.client.mirror_organization("chain", WINS).override_guards(["batch_tenants"], "a new menu");
    let lifted = is_over(&service.client, &request.send().await.expect("accepted")).await;
    assert_eq!((lifted.succeeded_count, guarded(&lifted)), (20, (2, None, false)));
    assert_eq!(
        (lifted.overridden_guards, lifted.override_reason.as_deref()),
        (vec!["batch_tenants".to_owned()], Some("a new menu"))
    );
    assert_eq!(service.google.writes().await.len(), 6);
}

#[tokio::test]
async fn the_same_id_returns_the_same_batch_whatever_has_changed_since() {
    let service = service::start_with(idle()).await;
    chain(&service, "chain", 2).await;
    let ask = async |confirm| {
        let request = service.client.mirror_organization("chain", WINS).request_id("once").confirm(confirm);
        request.send().await
    };
    let first = ask(2).await.expect("accepted");
    chain(&service, "other", 1).await;
    service.client.delete_tenant("chain-001").send().await.ok();
    let again = ask(2).await.expect("repeated");
    assert_eq!((again.name, again.tenant_count), (first.name, 2));
    let other = service.client.mirror_all(WINS, 2).request_id("once").send().await.expect_err("other arguments");
    assert_eq!(other.reason(), Some("REQUEST_ID_REUSED"));
    let run = service.client.mirror("other-000", WINS).request_id("once").send().await.expect_err("another thing");
    assert_eq!(run.reason(), Some("REQUEST_ID_REUSED"));
}
