//! Reading runs: pages that stay in place while rows arrive, and counts that agree with counting by hand.

use category_mirror::{
    domain::{LocationId, RunFilter, RunId, RunResult, RunState, Strategy},
    store::AttemptProgress,
};

use super::{NOBODY, REAL, TestStore, about_to_write, at, held, id, listed, store_with, time};

async fn ended(store: &TestStore, tenant: &str) -> RunId {
    let claimed = store.claimed(0, tenant, REAL).await;
    let progress = AttemptProgress { write_intent: None, ..about_to_write(&["x"], &["y"]) };
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
        let page = listed(&store, &RunFilter::default(), before, 3).await;
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
    let list = async |filter: RunFilter| -> Vec<RunId> {
        let runs = listed(&store, &filter, None, 10).await;
        assert!(runs.iter().all(|run| run.plan.is_none() && run.written.is_empty()));
        runs.iter().map(|run| run.id).collect()
    };
    let of_tenant = |tenant| RunFilter { tenant: Some(id(tenant)), ..RunFilter::default() };
    let visible = |tenants: &[&str]| Some(tenants.iter().map(|tenant| id(tenant)).collect());

    assert_eq!(list(RunFilter::default()).await, [c, b, a]);
    assert_eq!(list(of_tenant("b")).await, [b]);
    assert_eq!(list(RunFilter { visible_tenants: visible(&["a", "c"]), ..RunFilter::default() }).await, [c, a]);
    assert_eq!(list(RunFilter { visible_tenants: visible(&["a", "c"]), ..of_tenant("b") }).await, NOBODY);
    assert_eq!(list(RunFilter { visible_tenants: visible(&[]), ..RunFilter::default() }).await, NOBODY);
    assert_eq!(list(RunFilter { strategy: Some(Strategy::PlatformToGbp), ..of_tenant("a") }).await, [a]);
    assert_eq!(list(RunFilter { strategy: Some(Strategy::GbpToPlatform), ..RunFilter::default() }).await, NOBODY);

    let of_state = |states: &[RunState]| RunFilter { states: states.to_vec(), ..RunFilter::default() };
    assert_eq!(list(of_state(&[RunState::Succeeded])).await, [c, b, a]);
    assert_eq!(list(of_state(&[RunState::Failed, RunState::Queued])).await, NOBODY);
    assert_eq!(list(RunFilter { dry_run: Some(false), ..of_tenant("a") }).await, [a]);
    assert_eq!(list(RunFilter { dry_run: Some(true), ..RunFilter::default() }).await, NOBODY);
    assert_eq!(list(RunFilter { caller: Some("tester".to_owned()), ..of_tenant("c") }).await, [c]);
    assert_eq!(list(RunFilter { caller: Some("nobody".to_owned()), ..RunFilter::default() }).await, NOBODY);
    assert_eq!(list(RunFilter { reason: Some("COOLDOWN".to_owned()), ..RunFilter::default() }).await, NOBODY);
    assert_eq!(list(RunFilter { out_of_sync: true, ..of_tenant("b") }).await, [b]);
    let long_ago = chrono::DateTime::from_timestamp(0, 0);
    assert_eq!(list(RunFilter { accepted_from: long_ago, ..of_tenant("b") }).await, [b]);
    assert_eq!(list(RunFilter { accepted_before: long_ago, ..RunFilter::default() }).await, NOBODY);
    assert_eq!(list(RunFilter { ended_from: Some(time(1)), ..of_tenant("a") }).await, [a]);
    assert_eq!(list(RunFilter { ended_from: Some(time(2)), ..of_tenant("a") }).await, NOBODY);

    let whole =
        store.runs(&RunFilter { visible_tenants: visible(&["a", "b"]), ..RunFilter::default() }, &[c, b, a]).await;
    let whole = whole.expect("read");
    assert_eq!(whole.iter().map(|run| run.id).collect::<Vec<_>>(), [a, b]);
    assert!(whole.iter().all(|run| run.plan.is_some()));
    assert_eq!(store.last_run(&id("a"), Strategy::PlatformToGbp).await.expect("read").map(|run| run.id), Some(a));
    assert_eq!(store.last_run(&id("a"), Strategy::GbpToPlatform).await.expect("read"), None);
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
        store.succeed(at(seconds + 1), end, LocationId::parse("at-a").ok()).await;
    }
}
