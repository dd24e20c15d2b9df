//! Sums of what ended, kept in several grains: each end is in every one of them once, whoever sums up.

use std::time::Duration;

use category_mirror::{
    domain::{Failure, FailureReason, OrganizationId, RunFilter, RunResult},
    store::{AttemptProgress, Finish, NewRun, Store},
};
use futures::future::join_all;
use sqlx::AssertSqlSafe;

use super::{LEASE, REAL, TestStore, at, held, id, new_run, statistics::id_of, store_with, time};

/// Servers that end runs at the same time, sum counts up at the same time, and are replaced by others in between.
#[tokio::test]
async fn no_end_is_lost_or_counted_twice_among_many_servers() {
    let tenants: Vec<String> = (0..60).map(|n| format!("t{n}")).collect();
    let names: Vec<&str> = tenants.iter().map(String::as_str).collect();
    let store = store_with(&names).await;
    store.execute("update tenant set organization_id = 'org-' || (right(id, 1)::int % 3)").await;
    for round in 0..3 {
        for name in &names {
            store.accepted(round, name).await;
        }
        let claimed = store.claim(at(round), 60, LEASE).await.expect("claimed");
        let server = |claimed: &[category_mirror::store::ClaimedRun]| {
            // A store of its own, as a process has one.
            let store = Store::new(store.pool.clone());
            let ends: Vec<Finish> = claimed
                .iter()
                .map(|claimed| Finish {
                    held: held(claimed),
                    attempt: 1,
                    result: RunResult::Succeeded,
                    progress: AttemptProgress::default(),
                    location: None,
                    observation: None,
                })
                .collect();
            async move {
                for ends in ends.chunks(4) {
                    store.finish(at(round * 50), ends).await.expect("finished");
                    store.compact_rollup_deltas(3).await.expect("folded");
                }
            }
        };
        join_all(claimed.chunks(15).map(server)).await;
    }
    let counted: Vec<(String, i64)> = sqlx::query_as(
        "select coalesce(organization_id, ''), count(*) from run_history group by grouping sets ((), (organization_id))",
    )
    .fetch_all(&store.pool)
    .await
    .expect("counted");
    assert_eq!(counted.len(), 4);
    for (organization, count) in counted {
        let organization = OrganizationId::parse(&organization).ok();
        let filter = RunFilter { organization, ..RunFilter::default() };
        let stats = store.stats(at(200), &filter, Duration::from_secs(3600)).await.expect("counted");
        assert_eq!((stats.ended.succeeded, stats.total), (count, count), "{filter:?}");
    }
    assert_eq!(differences(&store).await, []);
}

/// What the sums, with what is not summed up yet, and a full count do not agree on.
async fn differences(store: &TestStore) -> Vec<(String, Option<i64>, Option<i64>)> {
    let (kept, counted) = (include_str!("../../data/rollups_kept.sql"), include_str!("../../data/rollups_counted.sql"));
    let differences = format!(
        "select what, kept.count, counted.count
           from ({kept}) as kept (what, count)
           full join ({counted}) as counted (what, count) using (what)
          where kept.count is distinct from counted.count"
    );
    sqlx::query_as(AssertSqlSafe(differences)).fetch_all(&store.pool).await.expect("compared")
}

#[tokio::test]
async fn three_weeks_agree_with_a_full_count_before_and_after_the_rest_is_summed_up() {
    let store = store_with(&["a", "b"]).await;
    store.execute("update tenant set organization_id = 'chain' where id = 'b'").await;
    // Three weeks of days, each a while later on its day than the one before.
    for n in 0..12 {
        let seconds = n * 155_555;
        for (tenant, result) in [
            ("a", RunResult::Succeeded),
            ("b", RunResult::Failed(Failure::permanent(FailureReason::EmptySource, "nothing"))),
        ] {
            let claimed = store.claimed(seconds, tenant, REAL).await;
            store
                .finish(at(seconds + n), held(&claimed), 1, &result, &AttemptProgress::default())
                .await
                .expect("finished");
        }
        // Some weeks begin in the sums, and end in what is not summed up yet.
        if n % 4 < 2 {
            while store.compact_rollup_deltas(3).await.expect("folded") > 0 {}
        }
    }
    assert_eq!(differences(&store).await, []);

    while store.compact_rollup_deltas(3).await.expect("folded") > 0 {}
    assert_eq!(differences(&store).await, []);
}

#[tokio::test]
async fn sums_that_no_window_reaches_are_forgotten() {
    const DAY: i64 = 86_400;
    let store = store_with(&["a"]).await;
    let claimed = store.claimed(0, "a", REAL).await;
    store.finish(at(0), held(&claimed), 1, &RunResult::Succeeded, &AttemptProgress::default()).await.expect("finished");
    assert_eq!(store.compact_rollup_deltas(10).await.expect("folded"), 1);
    // It is a Sunday: the week began six days before.
    for (day, forgotten) in [(3, 0), (5, 2), (85, 0), (91, 1), (94, 2)] {
        assert_eq!(store.delete_expired_rollups(at(day * DAY), 10).await.expect("forgotten"), forgotten, "{day}");
    }
}

#[tokio::test]
async fn a_day_is_counted_for_its_tenants_when_none_of_its_runs_is_live() {
    const DAY: i64 = 86_400;
    let store = store_with(&["a", "b"]).await;
    let accept = async |tenant| {
        let run = NewRun { id: id_of(time(0)), ..new_run(tenant, REAL) };
        store.accept(at(0), &run).await.expect("accepted");
        store.claim_one(0).await
    };
    let end = async |claimed, seconds| {
        let done =
            store.finish(at(seconds), held(&claimed), 1, &RunResult::Succeeded, &AttemptProgress::default()).await;
        assert!(done.expect("finished"));
    };
    let counted = async || -> i64 {
        sqlx::query_scalar("select coalesce(sum(succeeded), 0) from tenant_rollup")
            .fetch_one(&store.pool)
            .await
            .expect("read")
    };
    let (first, second) = (accept("a").await, accept("b").await);
    end(first, 1).await;
    assert!(!store.roll_up_day(at(2 * DAY)).await.expect("looked"), "the other one is live");
    end(second, 2).await;
    assert!(!store.roll_up_day(at(60)).await.expect("looked"), "the day is not over");
    assert!(store.roll_up_day(at(2 * DAY)).await.expect("counted"));
    assert_eq!(counted().await, 2);

    // Accepted by a server whose clock is a day behind.
    end(accept("a").await, 2 * DAY).await;
    assert_eq!(counted().await, 3, "it counts itself");
    let filter = RunFilter { tenant: Some(id("a")), ..RunFilter::default() };
    for days in [2, 3, 4, 90] {
        let window = Duration::from_secs(days * 86_400 + 3600);
        let stats = store.stats(at(2 * DAY + 60), &filter, window).await.expect("counted");
        assert_eq!(stats.ended.succeeded, 2, "{days}");
    }
}
