//! Housekeeping in bounded pieces: whichever of them is the last one of a server that dies, nothing is lost, counted twice or unreadable.

use std::time::Duration;

use category_mirror::domain::RunResult;
use category_mirror::{
    domain::{RunFilter, RunId, RunState},
    error::Error,
    store::{AttemptProgress, ReductionStep, Retention, Store, connect},
};
use sqlx::AssertSqlSafe;

use super::{LEASE, REAL, TestStore, held, id, listed, new_run, store_with};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Failed runs for longer than others.
const KEEP: Retention =
    Retention { all: Duration::from_secs(30 * 24 * 3600), failed: Duration::from_secs(60 * 24 * 3600) };
/// Rows of a piece.
const PIECE: i32 = 4;
/// Runs of a day, every second of which failed.
const RUNS: i32 = 50;
const FAILED: usize = 25;

/// The `n`th run of the day that was so many days ago, after the others of the day have ended, or before.
async fn end(store: &TestStore, day: i32, n: i32, state: &str) {
    sqlx::query(
        "insert into run_history (id, tenant_id, strategy, dry_run, state, fencing_token, caller, created_at, started_at, ended_at, reason, error,
                                  revision, uncounted_attempts, max_attempts, cancel_requested, attempts, written, created, updated, deleted,
                                  unmapped)
         select run_id_floor(at + interval '1 minute' * $2), 'a', 'platform_to_gbp', false, $3, 1, 'tester', at, at, at, 'X',
                '{\"reason\": \"X\", \"message\": \"\", \"attempt\": 1, \"metadata\": {}, \"upstream_details\": null}', 2, 0, 5, false, '[]',
                '[]', 0, 0, 0, 0
           from (select date_trunc('day', now(), 'UTC') - interval '1 day' * $1 as at) as days",
    )
    .bind(day)
    .bind(n)
    .bind(state)
    .execute(&store.pool)
    .await
    .expect("ended");
}

async fn history(store: &TestStore, days: &[i32]) {
    for day in days {
        sqlx::query("select ensure_run_history_partition((now() at time zone 'UTC')::date - $1)")
            .bind(day)
            .execute(&store.pool)
            .await
            .expect("a partition");
        for n in 0..RUNS {
            end(store, *day, 2 * n, if n % 2 == 0 { "failed" } else { "succeeded" }).await;
        }
    }
}

/// A server that has come up after another one died: it knows nothing.
fn another(store: &TestStore) -> Store {
    Store::new(connect(store.database.options(), 2))
}

/// The failed runs that callers can read.
async fn failures(store: &Store) -> usize {
    let filter = RunFilter { states: vec![RunState::Failed], ..RunFilter::default() };
    listed(store, &filter, None, 1000).await.len()
}

async fn count(store: &TestStore, what: &str) -> i64 {
    let count = format!("select count(*) from {what}");
    sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(&store.pool).await.expect("counted")
}

fn day_table(days_ago: i64) -> String {
    let day = chrono::Utc::now().date_naive() - chrono::Days::new(u64::try_from(days_ago).expect("past"));
    format!("run_history_{}", day.format("%Y_%m_%d"))
}

#[tokio::test]
async fn failed_runs_are_kept_in_pieces_between_any_two_of_which_a_server_may_die() {
    let store = store_with(&["a"]).await;
    history(&store, &[50, 40]).await;
    let (mut pieces, mut late) = (0, 0);
    for day in [50, 40] {
        let (old, kept) = (day_table(day), format!("{}_failed", day_table(day)));
        let mut copied = 0;
        loop {
            let server = another(&store);
            let done = server.drop_history_piece(None, KEEP, PIECE).await.expect("a piece");
            assert_eq!(failures(&server).await, 2 * FAILED + late, "after {pieces} pieces");
            server.close().await;
            if done == Some(ReductionStep::Day) {
                break;
            }
            assert_eq!(done, Some(ReductionStep::Piece));
            let now = count(&store, &kept).await;
            assert!(now > copied && now - copied <= i64::from(PIECE), "a piece is bounded: {copied} {now}");
            copied = now;
            pieces += 1;
            if pieces % 3 == 0 {
                // Behind the pieces, and before them.
                end(&store, i32::try_from(day).expect("small"), 1 + 4 * (pieces % 20), "failed").await;
                late += 1;
            }
        }
        let left: i64 = sqlx::query_scalar("select count(*) from pg_class where relname = $1")
            .bind(&old)
            .fetch_one(&store.pool)
            .await
            .expect("counted");
        assert_eq!(left, 0, "{old} is gone");
        assert_eq!(count(&store, &format!("{kept} where state <> 'failed'")).await, 0);
    }
    assert!(pieces > 12, "{pieces}");
    assert_eq!(another(&store).drop_history_piece(None, KEEP, PIECE).await.expect("looked"), None);
    assert_eq!(count(&store, "run_history").await, i64::try_from(2 * FAILED + late).expect("few"));
}

#[tokio::test]
async fn failed_runs_that_an_older_server_left_unreadable_come_back() {
    let store = store_with(&["a"]).await;
    history(&store, &[50, 40]).await;
    let detach = format!("alter table run_history detach partition {}", day_table(50));
    sqlx::raw_sql(AssertSqlSafe(detach)).execute(&store.pool).await.expect("detached");
    assert_eq!(failures(&store.store).await, FAILED, "those of the other day");
    assert_eq!(store.drop_history(None, KEEP).await.expect("dropped"), 2);
    assert_eq!(failures(&store.store).await, 2 * FAILED);
    assert_eq!(count(&store, "run_history").await, i64::try_from(2 * FAILED).expect("few"));
}

#[tokio::test]
async fn two_servers_reduce_a_day_once() {
    let store = store_with(&["a"]).await;
    history(&store, &[50, 40]).await;
    let (one, other) = (another(&store), another(&store));
    let (one, other) = tokio::join!(one.drop_history(None, KEEP), other.drop_history(None, KEEP));
    let days = one.expect("dropped") + other.expect("dropped");
    assert!((1..=4).contains(&days), "{days}");
    store.drop_history(None, KEEP).await.expect("the rest, if both left it to each other");
    assert_eq!(failures(&store.store).await, 2 * FAILED);
    assert_eq!(count(&store, "run_history").await, i64::try_from(2 * FAILED).expect("few"));
}

#[tokio::test]
async fn a_day_that_is_read_is_left_and_neither_readers_nor_ends_nor_other_days_wait_for_it() {
    let store = store_with(&["a"]).await;
    history(&store, &[50, 40]).await;
    store.prepare_history(None).await.expect("prepared");
    let mut reader = store.pool.begin().await.expect("begun");
    let read = format!("select count(*) from {}", day_table(50));
    sqlx::query(AssertSqlSafe(read)).execute(&mut *reader).await.expect("read");

    let dropping = tokio::spawn({
        let store = store.store.clone();
        async move { store.drop_history(None, KEEP).await }
    });
    // The whole lives of runs, and lists.
    while !dropping.is_finished() {
        store.accept(None, &new_run("a", REAL)).await.expect("accepted");
        let claimed = store.claim(None, 1, LEASE).await.expect("claimed").pop().expect("a run");
        let done = store.finish(None, held(&claimed), 1, &RunResult::Succeeded, &AttemptProgress::default()).await;
        assert!(done.expect("finished"));
        assert_eq!(failures(&store.store).await, 2 * FAILED);
    }
    dropping.await.expect("no panic").expect_err("one day was read");
    assert_eq!(count(&store, &day_table(50)).await, i64::from(RUNS), "it is as it was");
    assert_eq!(count(&store, &format!("{}_failed", day_table(40))).await, i64::try_from(FAILED).expect("few"));

    reader.rollback().await.expect("done");
    assert_eq!(store.drop_history(None, KEEP).await.expect("dropped"), 1);
    assert_eq!(failures(&store.store).await, 2 * FAILED);
}

/// What a tenant's statistics tell of the last 90 days: succeeded, failed, by duration and reason as well, and the newest failures.
async fn statistics(store: &Store) -> (i64, i64, Vec<(String, i64)>, Vec<RunId>) {
    let filter = RunFilter { tenant: Some(id("a")), ..RunFilter::default() };
    let stats = store.stats(None, &filter, DAY * 90).await.expect("counted");
    let newest = stats.recent_failures.iter().map(|run| run.id).collect();
    (stats.ended.succeeded, stats.ended.failed, stats.failures, newest)
}

#[tokio::test]
async fn a_day_is_counted_in_pieces_between_any_two_of_which_a_server_may_die_and_runs_end() {
    let store = store_with(&["a"]).await;
    history(&store, &[3, 2]).await;
    let (mut pieces, mut succeeded) = (0, i64::from(RUNS));
    loop {
        let server = another(&store);
        let counted = server.roll_up_day_chunk(None, 7).await.expect("a piece");
        let (done, failed, reasons, newest) = statistics(&server).await;
        assert_eq!((done, failed), (succeeded, i64::from(RUNS)), "after {pieces} pieces");
        assert_eq!((reasons, newest.len()), (vec![("X".to_owned(), i64::from(RUNS))], 5));
        server.close().await;
        if !counted {
            break;
        }
        pieces += 1;
        // On the day that is being counted: behind the pieces, and before them; and on one that is counted wholly.
        for day in [3, 2] {
            end(&store, day, 4 * pieces + 1, "succeeded").await;
            succeeded += 1;
        }
    }
    // 100 runs, and the late ones before the pieces.
    assert!(pieces > 14, "{pieces}");
    let counted: i64 = sqlx::query_scalar("select sum(succeeded + failed) from tenant_rollup")
        .fetch_one(&store.pool)
        .await
        .expect("read");
    assert_eq!(counted, succeeded + i64::from(RUNS), "each once");
}

#[tokio::test]
async fn a_piece_that_is_cut_short_changes_nothing() {
    let store = store_with(&["a"]).await;
    history(&store, &[50]).await;
    store.drop_history_piece(None, KEEP, PIECE).await.expect("a piece");
    // Behind a lock that the next piece waits for.
    let kept = format!("{}_failed", day_table(50));
    let mut holder = store.pool.begin().await.expect("begun");
    sqlx::query(AssertSqlSafe(format!("lock table {kept}"))).execute(&mut *holder).await.expect("locked");
    let server = another(&store);
    let piece = tokio::spawn(async move { server.drop_history_piece(None, KEEP, PIECE).await });
    // Waits for the end of the process: it sends its last error before it releases its locks, and a server that finds them leaves the day to
    // whoever holds them.
    let cut = "select bool_or(pg_terminate_backend(pid, 600000)) from pg_stat_activity
                where datname = current_database() and wait_event_type = 'Lock' and query like 'select reduce_run_history_partition%'";
    while sqlx::query_scalar::<_, Option<bool>>(cut).fetch_one(&store.pool).await.expect("asked") != Some(true) {}
    let error = piece.await.expect("no panic").expect_err("cut short");
    assert!(matches!(error, Error::DatabaseUnavailable(_)), "{error:?}");
    holder.rollback().await.expect("released");
    assert_eq!(count(&store, &kept).await, i64::from(PIECE));
    assert_eq!(store.drop_history(None, KEEP).await.expect("dropped"), 1);
    assert_eq!(failures(&store.store).await, FAILED);
}
