//! Reading runs: pages that stay in place while rows arrive, and counts that agree with counting by hand.

use std::time::Duration;

use category_mirror::{
    domain::{RunId, RunResult, Strategy},
    store::{LogFilter, Progress, SyncStats},
};
use proptest::{prelude::*, strategy::Strategy as _, test_runner::TestRunner};

use super::{NOBODY, REAL, TestStore, about_to_write, at, held, id, store_with, time};

async fn ended(store: &TestStore, tenant: &str) -> RunId {
    let claimed = store.claimed(0, tenant, REAL).await;
    let progress = about_to_write(&["x"], &["y"]);
    assert!(store.finish(at(1), held(&claimed), 1, &RunResult::Succeeded, &progress).await.expect("finished"));
    claimed.run.id
}

#[tokio::test]
async fn pages_neither_repeat_nor_miss_while_runs_arrive() {
    let store = store_with(&["a", "b"]).await;
    let mut old = Vec::new();
    for n in 0..8 {
        old.push(ended(&store, ["a", "b"][n % 2]).await);
    }
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = store.logs(&LogFilter::default(), before, 3).await.expect("a page");
        seen.extend(page.iter().map(|run| run.id));
        before = page.last().map(|run| run.id);
        if page.len() < 3 {
            break;
        }
        ended(&store, "a").await;
    }
    old.reverse();
    assert_eq!(seen, old, "newest first");
}

#[tokio::test]
async fn lists_hold_what_the_filter_names_and_nothing_large() {
    let store = store_with(&["a", "b", "c"]).await;
    let [a, b, c] = [ended(&store, "a").await, ended(&store, "b").await, ended(&store, "c").await];
    let list = async |filter: LogFilter| -> Vec<RunId> {
        let runs = store.logs(&filter, None, 10).await.expect("listed");
        assert!(runs.iter().all(|run| run.plan.is_none() && run.written.is_empty()));
        runs.iter().map(|run| run.id).collect()
    };
    let of_tenant = |tenant| LogFilter { tenant: Some(id(tenant)), ..LogFilter::default() };
    let visible = |tenants: &[&str]| Some(tenants.iter().map(|tenant| id(tenant)).collect());

    assert_eq!(list(LogFilter::default()).await, [c, b, a]);
    assert_eq!(list(of_tenant("b")).await, [b]);
    assert_eq!(list(LogFilter { only: visible(&["a", "c"]), ..LogFilter::default() }).await, [c, a]);
    assert_eq!(list(LogFilter { only: visible(&["a", "c"]), ..of_tenant("b") }).await, NOBODY);
    assert_eq!(list(LogFilter { only: visible(&[]), ..LogFilter::default() }).await, NOBODY);
    assert_eq!(list(LogFilter { strategy: Some(Strategy::PlatformToGbp), ..of_tenant("a") }).await, [a]);
    assert_eq!(list(LogFilter { strategy: Some(Strategy::GbpToPlatform), ..LogFilter::default() }).await, NOBODY);

    let whole = store.runs(&LogFilter { only: visible(&["a", "b"]), ..LogFilter::default() }, &[c, b, a]).await;
    let whole = whole.expect("read");
    assert_eq!(whole.iter().map(|run| run.id).collect::<Vec<_>>(), [a, b]);
    assert!(whole.iter().all(|run| run.plan.is_some()));
    assert_eq!(store.last_run(&id("a"), Strategy::PlatformToGbp).await.expect("read").map(|run| run.id), Some(a));
    assert_eq!(store.last_run(&id("a"), Strategy::GbpToPlatform).await.expect("read"), None);
}

/// A run of a random history.
#[derive(Debug, Clone)]
struct Past {
    tenant: &'static str,
    state: &'static str,
    dry_run: bool,
    differences: bool,
    /// Seconds before the statement's time.
    age: i64,
}

fn past() -> impl proptest::strategy::Strategy<Value = Past> {
    let state = prop::sample::select(vec!["succeeded", "failed", "skipped", "cancelled", "queued"]);
    (prop::sample::select(vec!["a", "b", "c"]), state, any::<bool>(), any::<bool>(), 0..200_i64)
        .prop_map(|(tenant, state, dry_run, differences, age)| Past { tenant, state, dry_run, differences, age })
}

async fn insert(store: &TestStore, history: &[Past]) -> Vec<RunId> {
    store.execute("truncate run, run_history").await;
    store.prepare_history(None).await.expect("prepared");
    let mut ids = Vec::new();
    for run in history {
        let id = RunId::now_v7();
        let is_over = run.state != "queued";
        let insert = if is_over {
            "insert into run_history (id, tenant_id, dry_run, state, created_at, plan, ended_at,
                                      strategy, revision, attempt, handed_back, max_attempts, cancel_requested, attempts, written,
                                      created, updated, deleted, skipped, caller, reason, error)
             values ($1, $2, $3, $4, $5, $6, $7,
                     'platform_to_gbp', 2, 1, 0, 5, false, '[]', '[]', 0, 0, 0, 0, 'tester', 'X',
                     '{\"reason\": \"INTERNAL\", \"message\": \"\", \"attempt\": 1, \"metadata\": {}, \"upstream_details\": null}')"
        } else {
            "insert into run (id, tenant_id, dry_run, state, created_at, plan, due_at, strategy, max_attempts, caller)
             values ($1, $2, $3, $4, $5, $6, $7, 'platform_to_gbp', 5, 'tester')"
        };
        sqlx::query(insert)
            .bind(id)
            // A live run more than one would be refused; what counts here is the tenant's filter, so each has one of its own.
            .bind(if is_over { run.tenant.to_owned() } else { format!("{}-{id}", run.tenant) })
            .bind(run.dry_run)
            .bind(run.state)
            .bind(time(-run.age))
            .bind(sqlx::types::Json(serde_json::json!({"changes": if run.differences { vec![1] } else { vec![] }})))
            .bind(time(1))
            .execute(&store.pool)
            .await
            .expect("inserted");
        ids.push(id);
    }
    ids
}

/// What the statistics should be, counted by hand.
fn counted(history: &[Past], window: i64, tenant: Option<&str>, only: Option<&[&str]>) -> SyncStats {
    let live_matches = |run: &Past| run.state != "queued" || (tenant.is_none() && only.is_none());
    let matches = |run: &Past| {
        tenant.is_none_or(|tenant| tenant == run.tenant) && only.is_none_or(|only| only.contains(&run.tenant))
    };
    let counts = |run: &Past| run.age <= window && matches(run) && live_matches(run);
    let count = |what: &dyn Fn(&Past) -> bool| {
        i64::try_from(history.iter().filter(|run| counts(run) && what(run)).count()).expect("small")
    };
    let real = |state: &'static str| count(&|run: &Past| !run.dry_run && run.state == state);
    SyncStats {
        start_at: time(-window),
        end_at: time(0),
        total: count(&|_: &Past| true),
        succeeded: real("succeeded"),
        failed: real("failed"),
        skipped: real("skipped"),
        cancelled: real("cancelled"),
        live: real("queued"),
        dry: count(&|run: &Past| run.dry_run),
        out_of_sync: count(&|run: &Past| run.differences),
        recent_failures: vec![],
    }
}

#[test]
fn statistics_agree_with_counting_by_hand() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let store = runtime.block_on(store_with(&[]));
    let scopes: [(Option<&str>, Option<&[&str]>); 4] =
        [(None, None), (Some("a"), None), (None, Some(&["a", "c"])), (Some("b"), Some(&["a"]))];
    let histories = (prop::collection::vec(past(), 0..40), 0..220_i64);
    let checked = TestRunner::new(super::life::few_cases(12)).run(&histories, |(history, window)| {
        runtime.block_on(async {
            let ids = insert(&store, &history).await;
            for (tenant, only) in scopes {
                let filter = LogFilter {
                    tenant: tenant.map(id),
                    only: only.map(|only| only.iter().map(|tenant| id(tenant)).collect()),
                    ..LogFilter::default()
                };
                let window_length = Duration::from_secs(window.unsigned_abs());
                let mut stats = store.stats(at(0), &filter, window_length).await.expect("counted");
                let failures: Vec<RunId> = stats.recent_failures.drain(..).map(|run| run.id).collect();
                prop_assert_eq!(&stats, &counted(&history, window, tenant, only));
                let expected: Vec<RunId> = history
                    .iter()
                    .zip(&ids)
                    .rev()
                    .filter(|(run, _)| run.state == "failed" && !run.dry_run && run.age <= window)
                    .filter(|(run, _)| {
                        tenant.is_none_or(|t| t == run.tenant) && only.is_none_or(|o| o.contains(&run.tenant))
                    })
                    .map(|(_, id)| *id)
                    .take(5)
                    .collect();
                prop_assert_eq!(failures, expected);
            }
            Ok(())
        })
    });
    checked.expect("agrees");
}

#[tokio::test]
async fn a_cooldown_starts_with_a_real_success_of_the_strategy() {
    let store = store_with(&["a"]).await;
    let cancelled = store.accepted(0, "a").await;
    store.cancel(at(1), cancelled.id).await.expect("cancelled");
    for (seconds, dry_run, expected) in [(2, true, None), (3, REAL, None), (5, REAL, Some(time(4)))] {
        let claimed = store.claimed(seconds, "a", dry_run).await;
        let end = held(&claimed);
        assert_eq!(store.source(seconds, &claimed.run).await.last_success_at, expected);
        let done = store.finish(at(seconds + 1), end, 1, &RunResult::Succeeded, &Progress::default()).await;
        assert!(done.expect("finished"));
    }
}
