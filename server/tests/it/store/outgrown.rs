//! Plans that the schema has outgrown: of a prepared statement whose column has another type since.

use category_mirror::{
    domain::Decision,
    error::Error,
    store::{ClaimLimits, NewDecision, Store},
};
use futures::future::join_all;

use super::{LEASE, REAL, at, id, new_run, store_with};

#[tokio::test]
async fn a_statement_is_sent_again_at_once_on_whichever_connection() {
    let store = store_with(&["a"]).await;
    let id = id("a");
    let read = || join_all((0..20).map(|_| store.tenant(&id)));
    for kind in ["varchar", "text", "varchar(300)"] {
        for read in read().await {
            read.expect("read");
        }
        let change = format!("alter table tenant alter column display_name type {kind}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(change)).execute(&store.pool).await.expect("changed");
        for read in read().await {
            assert_eq!(read.expect("read again").display_name, "A");
        }
    }
}

#[tokio::test]
async fn claims_go_on() {
    let store = store_with(&["a", "b", "c"]).await;
    let claim = async || store.store.claim(at(0), ClaimLimits::of(1), LEASE).await.expect("claimed").len();
    for (tenant, kind) in [("a", "varchar"), ("b", "text"), ("c", "varchar(55)")] {
        store.accept(at(0), &new_run(tenant, REAL)).await.expect("accepted");
        assert_eq!(claim().await, 1, "{tenant}");
        let change = format!("alter table run alter column traceparent type {kind}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(change)).execute(&store.pool).await.expect("changed");
    }
    assert_eq!(claim().await, 0);
}

#[tokio::test]
async fn a_transaction_fails_once_and_the_next_one_has_a_new_connection() {
    let store = store_with(&["a"]).await;
    // One connection, so that the second decision meets what the first one has prepared.
    let one = Store::new(category_mirror::store::connect(store.database.options(), 1));
    let id = id("a");
    let decide = async || {
        let decision = NewDecision {
            tenant: &id,
            decision: Decision::Ignore,
            caller: "tester",
            reason: "it is",
            run: None,
            request: None,
        };
        one.decide(at(0), &decision).await
    };
    decide().await.expect("decided");
    store.execute("alter table tenant_sync alter column decision_reason type varchar").await;
    let error = decide().await.expect_err("its plan is outgrown");
    assert!(matches!(error, Error::DatabaseUnavailable(_)), "to be tried again: {error:?}");
    decide().await.expect("decided");
}
