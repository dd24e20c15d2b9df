//! History ends a day at a time, beside everything else that goes on.

use std::time::Duration;

use category_mirror::{
    domain::{RunId, RunResult},
    store::{AttemptProgress, Retention},
};
use sqlx::Row;

use super::{LEASE, REAL, TestStore, held, new_run, store_with};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn keep(all: u32, failed: u32) -> Retention {
    Retention { all: DAY * all, failed: DAY * failed }
}

/// Two ended runs on each of the days that were so many days ago, one of them failed.
async fn history(store: &TestStore, days: &[i32]) {
    for day in days {
        sqlx::query("select ensure_run_history_partition((now() at time zone 'UTC')::date - $1)")
            .bind(day)
            .execute(&store.pool)
            .await
            .expect("a partition");
        sqlx::query(
            "insert into run_history (id, tenant_id, strategy, dry_run, state, fencing_token, caller, created_at, ended_at, reason, error,
                                      revision, uncounted_attempts, max_attempts, cancel_requested, attempts, written, created, updated, deleted,
                                      unmapped)
             select run_id_floor(at + interval '1 hour' * n), 'a', 'platform_to_gbp', false, case n when 1 then 'failed' else 'succeeded' end,
                    1, 'tester', at, at, 'X', '{}', 2, 0, 5, false, '[]', '[]', 0, 0, 0, 0
               from (select date_trunc('day', now(), 'UTC') - interval '1 day' * $1 as at) as days,
                    generate_series(1, 2) n",
        )
        .bind(day)
        .execute(&store.pool)
        .await
        .expect("inserted");
    }
}

/// State and age in days of every ended run, the oldest first.
async fn kept(store: &TestStore) -> Vec<(String, i64)> {
    let rows = sqlx::query(
        "select state, extract(epoch from date_trunc('day', now(), 'UTC') - date_trunc('day', created_at, 'UTC'))::bigint / 86400 as age
           from run_history order by id",
    );
    let rows = rows.fetch_all(&store.pool).await.expect("read");
    rows.iter().map(|row| (row.get("state"), row.get("age"))).collect()
}

#[tokio::test]
async fn days_are_dropped_whole_and_failed_runs_stay_for_longer() {
    let store = store_with(&["a"]).await;
    history(&store, &[50, 31, 30, 29, 1]).await;
    let both = |age| [("failed".to_owned(), age), ("succeeded".to_owned(), age)];

    assert_eq!(store.drop_history(None, keep(400, 400)).await.expect("looked"), 0);
    assert_eq!(store.drop_history(None, keep(30, 40)).await.expect("dropped"), 2);
    let mut expected = vec![("failed".to_owned(), 31)];
    expected.extend([30, 29, 1].into_iter().flat_map(both));
    assert_eq!(kept(&store).await, expected);
    assert_eq!(store.drop_history(None, keep(30, 40)).await.expect("looked"), 0, "nothing is left to do");
    assert_eq!(store.drop_history(None, keep(30, 31)).await.expect("looked"), 0);
    assert_eq!(store.drop_history(None, keep(30, 30)).await.expect("dropped"), 1);
    assert_eq!(kept(&store).await, expected[1..]);
    let left: i64 =
        sqlx::query_scalar("select count(*) from pg_class where relname like 'run_history_2%' and relkind = 'r'")
            .fetch_one(&store.pool)
            .await
            .expect("counted");
    assert_eq!(left, 3, "tables that were taken out are gone");
}

#[tokio::test]
async fn a_live_run_stays_however_old_and_can_end() {
    let store = store_with(&["a"]).await;
    let id: RunId = sqlx::query_scalar("select run_id_floor(now() - interval '500 days')")
        .fetch_one(&store.pool)
        .await
        .expect("an id");
    store.accept(None, &category_mirror::store::NewRun { id, ..new_run("a", REAL) }).await.expect("accepted");
    store.prepare_history(None).await.expect("prepared");
    store.drop_history(None, keep(30, 30)).await.expect("dropped");
    let claimed = store.claim(None, 1, LEASE).await.expect("claimed").pop().expect("it is there");
    assert_eq!(claimed.run.id, id);
    assert!(
        store
            .finish(None, held(&claimed), 1, &RunResult::Succeeded, &AttemptProgress::default())
            .await
            .expect("finished"),
        "its day comes back"
    );
    assert!(store.get(id).await.state.is_terminal());
}

#[tokio::test]
async fn nobody_waits_while_a_reader_holds_an_old_day() {
    let store = store_with(&["a"]).await;
    history(&store, &[50]).await;
    store.prepare_history(None).await.expect("prepared");
    let mut reader = store.pool.begin().await.expect("begun");
    sqlx::query("select count(*) from run_history").execute(&mut *reader).await.expect("read");

    let dropping = tokio::spawn({
        let store = store.store.clone();
        async move { store.drop_history(None, keep(30, 30)).await }
    });
    let waits = "select exists (select 1 from pg_stat_activity
                  where datname = current_database() and wait_event_type = 'Lock' and query like 'alter table run_history detach%')";
    while !sqlx::query_scalar::<_, bool>(waits).fetch_one(&store.pool).await.expect("asked") {}

    // The whole life of a run, and a look at it.
    store.accept(None, &new_run("a", REAL)).await.expect("accepted");
    let claimed = store.claim(None, 1, LEASE).await.expect("claimed").pop().expect("a run");
    let done = store.finish(None, held(&claimed), 1, &RunResult::Succeeded, &AttemptProgress::default()).await;
    assert!(done.expect("finished"));
    assert!(store.get(claimed.run.id).await.state.is_terminal());
    assert!(!dropping.is_finished());

    reader.rollback().await.expect("done");
    assert_eq!(dropping.await.expect("no panic").expect("dropped"), 1);
    assert_eq!(kept(&store).await.len(), 1);
}

#[tokio::test]
async fn a_day_is_dropped_while_a_claim_is_under_way() {
    let store = store_with(&["a", "b"]).await;
    history(&store, &[50]).await;
    store.prepare_history(None).await.expect("prepared");
    store.accept(None, &new_run("a", REAL)).await.expect("accepted");
    let all = super::statements::all();
    let claim = all.iter().find(|found| found.sql.contains("with interactive as")).expect("the claim");
    let mut claiming = store.pool.begin().await.expect("begun");
    let prepare = format!("prepare claim as {}", claim.sql);
    sqlx::raw_sql(sqlx::AssertSqlSafe(prepare)).execute(&mut *claiming).await.expect("prepared");
    let claimed =
        sqlx::raw_sql("execute claim(null, 10, 10, '30s', null)").fetch_all(&mut *claiming).await.expect("claimed");
    assert_eq!(claimed.len(), 1);

    // Neither waits for the other's locks: this one ends, and the next claim is made beside it.
    let (dropped, next) = tokio::join!(store.drop_history(None, keep(30, 30)), async {
        store.accept(None, &new_run("b", REAL)).await.expect("accepted");
        store.claim(None, 1, LEASE).await.expect("claimed").len()
    });
    assert_eq!((dropped.expect("dropped"), next), (1, 1));
    assert_eq!(kept(&store).await.len(), 0);
    claiming.commit().await.expect("committed");
}
