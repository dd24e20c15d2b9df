//! What happens in the middle of an expansion. Each of them stops at a tenant for whom the test makes a run, and does not say whether it will.

use std::time::Duration;

use category_mirror::store::{ClaimLimits, Store};
use category_mirror_client::{Batch, BatchState, FlagState};
use sqlx::{PgPool, Postgres, Transaction};

use super::{WINS, chain, is_over};
use crate::{
    flags::{MIRRORING, switch, until},
    replica::idle,
    service::{self, Service},
};

/// Chunks are of 200 tenants: this one is in the second of three.
const HELD: &str = "chain-250";
const TENANTS: i32 = 450;

/// Holds a tenant's place for a live run until the transaction ends.
pub(crate) async fn hold(pool: &PgPool) -> Transaction<'static, Postgres> {
    let mut transaction = pool.begin().await.expect("begun");
    sqlx::query(
        "insert into run (id, tenant_id, strategy, dry_run, state, max_attempts, caller, created_at)
         values (gen_random_uuid(), $1, 'platform_to_gbp', false, 'queued', 5, 'tester', now())",
    )
    .bind(HELD)
    .execute(&mut *transaction)
    .await
    .expect("held");
    transaction
}

/// Waits until somebody waits for the place.
pub(crate) async fn somebody_waits(pool: &PgPool) {
    let asking = "select exists (select 1 from pg_stat_activity
                                  where datname = current_database() and wait_event_type = 'Lock')";
    until("an expansion stops", async || sqlx::query_scalar(asking).fetch_one(pool).await.expect("asked")).await;
}

/// A batch that stops in its second chunk, and what holds it there.
async fn stopped() -> (Service, Batch, Transaction<'static, Postgres>) {
    let service = service::start_with(idle()).await;
    chain(&service, "chain", TENANTS).await;
    let holding = hold(&service.pool).await;
    let batch = service.client.mirror_organization("chain", WINS).send().await.expect("accepted");
    somebody_waits(&service.pool).await;
    let middle = service.client.get_batch(&batch.name).send().await.expect("the batch");
    assert_eq!((middle.state, middle.queued_count, middle.pending_count), (BatchState::Expanding, 200, 250));
    (service, batch, holding)
}

#[tokio::test]
async fn an_expansion_holds_up_no_interactive_run() {
    let (service, _batch, _holding) = stopped().await;
    service.tenant("single", "77").await;
    service.client.mirror("single", WINS).send().await.expect("accepted");
    let store = Store::new(service.pool.clone());
    let claimed = store.claim(None, ClaimLimits::of(2), Duration::from_secs(30)).await.expect("claimed");
    let tenants: Vec<&str> = claimed.iter().map(|claimed| claimed.run.tenant.as_str()).collect();
    assert_eq!(tenants, ["single", "chain-000"]);
}

#[tokio::test]
async fn a_flag_that_goes_off_in_the_middle_skips_whom_it_still_can() {
    let (service, batch, holding) = stopped().await;
    switch(&service.client, MIRRORING, FlagState::Off).await;
    holding.rollback().await.expect("let go");

    until("all are made", async || {
        service.client.get_batch(&batch.name).send().await.expect("the batch").pending_count == 0
    })
    .await;
    let batch = service.client.get_batch(&batch.name).send().await.expect("the batch");
    assert_eq!((batch.queued_count, batch.skipped_count), (400, 50), "the chunk under way, and the one after it");
}

#[tokio::test]
async fn cancelled_in_the_middle_no_run_is_left() {
    let (service, batch, holding) = stopped().await;
    let cancelled = service.client.cancel_batch(&batch.name).send().await.expect("cancelled");
    assert_eq!(cancelled.state, BatchState::Cancelling);
    holding.rollback().await.expect("let go");

    let over = is_over(&service.client, &batch).await;
    assert_eq!((over.state, over.cancelled_count), (BatchState::Cancelled, i64::from(TENANTS)));
    let again = service.client.cancel_batch(&batch.name).send().await.expect("a terminal one");
    assert_eq!(again, over);
}
