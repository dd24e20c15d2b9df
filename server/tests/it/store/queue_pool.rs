//! The connections that are kept for what every run goes through, when the database cuts them.

use std::time::Duration;

use category_mirror::{error::Error, store::ClaimLimits};
use futures::future::join_all;

use super::{LEASE, TestStore, at, store_with};

async fn claim(store: &TestStore) -> Result<(), Error> {
    store.store.claim(at(0), ClaimLimits::of(10), LEASE).await.map(|_| ())
}

/// Connections of the store that are open for its hot statements.
fn open(store: &TestStore) -> u32 {
    let pools = store.connections();
    pools.iter().find(|(name, _)| *name == "queue").expect("a pool").1.open
}

#[tokio::test]
async fn connections_that_were_cut_cost_one_error_and_not_one_each() {
    let store = store_with(&[]).await;
    join_all((0..4).map(|_| claim(&store))).await.into_iter().for_each(|claimed| claimed.expect("claimed"));
    // A call that is given up leaves its connection to the pool.
    drop(futures::poll!(std::pin::pin!(claim(&store))));
    assert!(open(&store) > 1, "several are kept");

    let cut: i64 = sqlx::query_scalar(
        "select count(pg_terminate_backend(pid, 10000)) from pg_stat_activity
          where datname = current_database() and pid <> pg_backend_pid() and query like '%for update%skip locked%'",
    )
    .fetch_one(&store.pool)
    .await
    .expect("cut");
    assert_eq!(cut, i64::from(open(&store)), "all that were kept");

    let error = claim(&store).await.expect_err("found out by the first statement");
    assert!(matches!(error, Error::DatabaseUnavailable(_)), "{error:?}");
    for _ in 0..4 {
        claim(&store).await.expect("on a connection that is alive");
    }
}

#[tokio::test]
async fn connections_that_are_given_back_together_do_not_wait_for_each_other() {
    let store = store_with(&[]).await;
    let many = || join_all((0..20).map(|_| claim(&store)));
    many().await.into_iter().for_each(|claimed| claimed.expect("claimed"));
    let all = open(&store);

    // Longer than any of them is kept.
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    many().await.into_iter().for_each(|claimed| claimed.expect("claimed"));
    assert_eq!(open(&store), all, "the same, looked at by the pool");
}

#[tokio::test]
async fn a_store_that_closes_takes_its_kept_connections_along() {
    let store = store_with(&[]).await;
    join_all((0..4).map(|_| claim(&store))).await.into_iter().for_each(|claimed| claimed.expect("claimed"));
    store.close().await;
    assert_eq!(open(&store), 0);
    claim(&store).await.expect_err("closed");
}
