//! Calls whose callers give them up in the middle: their work is done all the same, once, and a drain waits for it.

use std::time::Duration;

use category_mirror_client::{Client, Code, RetryPolicy, Strategy};
use nix::sys::signal::Signal;
use sqlx::{PgPool, Postgres, Transaction};

use super::{
    server::Server,
    site::{Site, until},
};

/// How long a caller waits who gives up.
const WAIT_TIMEOUT: Duration = Duration::from_millis(500);

/// A client who gives up soon.
fn impatient(site: &Site, server: &Server) -> Client {
    let client = Client::builder(format!("http://{}", server.address)).token(site.token());
    client.timeout(WAIT_TIMEOUT).retry(RetryPolicy::never()).build().expect("a client")
}

/// Keeps everything else from what the statement locks.
async fn lock(pool: &PgPool, statement: &'static str) -> Transaction<'static, Postgres> {
    let mut lock = pool.begin().await.expect("begun");
    sqlx::query(statement).execute(&mut *lock).await.expect("locked");
    lock
}

/// Gives up an update of a locked tenant, once the database is at work on it.
async fn give_up_an_update(site: &Site, server: &Server) -> Transaction<'static, Postgres> {
    site.load(&site.client(server)).await;
    let lock = lock(&site.pool(), "select from tenant where id = 'store' for update").await;
    let (client, pool) = (site.client(server), site.pool());
    let waits = "select exists (select from pg_stat_activity
                                 where datname = current_database() and wait_event_type = 'Lock' and query like 'update tenant%')";
    let is_waiting = || async { sqlx::query_scalar(waits).fetch_one(&pool).await.expect("asked") };
    tokio::select! {
        update = client.update_tenant("store").display_name("New").send() => panic!("the tenant is locked: {update:?}"),
        () = until("the update waits for the lock", is_waiting) => {}
    }
    lock
}

#[tokio::test]
async fn a_write_that_was_given_up_is_done_and_a_drain_waits_for_it() {
    let site = Site::new().await;
    let server = site.serve(&[("SHUTDOWN_GRACE_PERIOD", "1h")]).await;
    let lock = give_up_an_update(&site, &server).await;
    server.signal(Signal::SIGTERM);
    server.logged("draining").await;
    lock.rollback().await.expect("unlocked");
    let (status, log) = server.ended().await;
    assert_eq!(status.code(), Some(0), "{log:#?}");
    let name: String =
        sqlx::query_scalar("select display_name from tenant").fetch_one(&site.pool()).await.expect("read");
    assert_eq!(name, "New");
}

#[tokio::test]
async fn a_drain_waits_for_calls_that_were_given_up_no_longer_than_its_grace_period() {
    let site = Site::new().await;
    let server = site.serve(&[("SHUTDOWN_GRACE_PERIOD", "1s")]).await;
    let lock = give_up_an_update(&site, &server).await;
    server.signal(Signal::SIGTERM);
    let (status, log) = server.ended().await;
    assert_eq!(status.code(), Some(0), "{log:#?}");
    assert!(log.iter().any(|line| line.contains("cut off abandoned calls")), "{log:#?}");
    lock.rollback().await.expect("unlocked");
}

#[tokio::test]
async fn a_request_that_is_repeated_while_the_first_is_at_work_gets_its_answer() {
    let site = Site::new().await;
    let server = site.serve(&[("RUNNER_CONCURRENCY", "0")]).await;
    let client = site.client(&server);
    site.load(&client).await;
    let lock = lock(&site.pool(), "lock table idempotency_key in access exclusive mode").await;
    let mirror = |client: &Client| client.mirror("store", Strategy::PlatformToGbp).request_id("the-same").send();
    let first = mirror(&impatient(&site, &server)).await;
    assert_eq!(first.expect_err("no answer").code(), Code::DeadlineExceeded);
    let again = mirror(&client);
    let unlock = async { lock.rollback().await.expect("unlocked") };
    let (again, ()) = tokio::join!(again, unlock);
    let again = again.expect("accepted");
    assert!(!again.joined, "it is the answer of the first");
    assert_eq!(mirror(&client).await.expect("repeated").run.name, again.run.name);
    let runs: i64 = sqlx::query_scalar("select count(*) from all_runs").fetch_one(&site.pool()).await.expect("counted");
    assert_eq!(runs, 1);
    server.stop().await;
}
