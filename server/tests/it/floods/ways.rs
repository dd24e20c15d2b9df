//! Calls that reach the database by other ways than most: what one caller holds of it is bounded there, too.

use category_mirror_proto::v1::ListTenantsRequest;

use super::{
    abandoning::{MIRROR, mirror, send, stuck},
    attacks::{LIST, address},
    peer::Peer,
    site::Stage,
};
use crate::{pooler::has_few_sessions, processes::site::until};

/// A caller's share of the connections that calls have, which are 20.
const SHARE: i64 = 10;
const CALLS: usize = 100;

/// Has one caller ask for runs while `lock` is held, and another one for something else.
async fn ask_for_runs(settings: &[(&str, &str)], plan: &str, lock: &'static str, waiting: &str) {
    let stage =
        Stage::open(&[settings, &[("RATE_LIMIT_PER_SECOND", "0"), ("RUNNER_CONCURRENCY", "0")]].concat(), 0).await;
    let client = stage.client();
    stage.site().load(&client).await;
    let pool = stage.site().pool();
    let mut locked = pool.begin().await.expect("begun");
    sqlx::query(lock).execute(&mut *locked).await.expect("locked");
    let peer = Peer::connect(stage.server.address, address(1), 1 << 20).await.expect("connected");
    for n in 0..CALLS {
        send(&peer, MIRROR, &stage.target().administrator, &mirror(n, plan)).await;
    }
    until("they work", || async { stuck(&pool, waiting).await >= SHARE }).await;
    for _ in 0..5 {
        client.get_platform_category("cafe").send().await.expect("another caller has connections");
    }
    assert_eq!(stuck(&pool, waiting).await, SHARE);
    locked.rollback().await.expect("unlocked");
    peer.sees("their ends", |seen| seen.ended() == CALLS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_for_runs_that_name_a_plan_hold_no_more_than_other_calls() {
    if has_few_sessions() {
        return;
    }
    let plan = "tenants/store/runs/00000000-0000-7000-8000-000000000001";
    ask_for_runs(&[], plan, "lock table run_history in access exclusive mode", "%from all_runs%").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_for_runs_that_are_refused_hold_no_more_than_other_calls() {
    if has_few_sessions() {
        return;
    }
    let lock = "lock table idempotency_key in access exclusive mode";
    ask_for_runs(&[("FF_CATEGORY_MIRRORING", "off")], "", lock, "%idempotency_key%").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_caller_who_asks_for_tenants_of_organizations_leaves_connections_for_the_history() {
    if has_few_sessions() {
        return;
    }
    let stage = Stage::open(&[("RATE_LIMIT_PER_SECOND", "0"), ("RUNNER_CONCURRENCY", "0")], 0).await;
    stage.site().load(&stage.client()).await;
    let pool = stage.site().pool();
    let mut locked = pool.begin().await.expect("begun");
    sqlx::query("lock table run_history in access exclusive mode").execute(&mut *locked).await.expect("locked");
    let peer = Peer::connect(stage.server.address, address(1), 1 << 20).await.expect("connected");
    let asked = ListTenantsRequest { organization: "organizations/none".to_owned(), ..Default::default() };
    for _ in 0..CALLS {
        send(&peer, LIST, &stage.target().viewer, &asked).await;
    }
    let known = "%or exists (select from run_history where organization_id%";
    until("they look", || async { stuck(&pool, known).await >= 1 }).await;
    // Those that found no connection in time are told so.
    peer.sees("some ends", |seen| seen.ended() > 0).await;
    assert_eq!(stuck(&pool, known).await, 1, "of four");
    locked.rollback().await.expect("unlocked");
    peer.sees("their ends", |seen| seen.ended() == CALLS).await;
}
