//! Statistics are sums that are kept as runs end: they agree with a full count, whatever happens, and to the last run.

use std::{collections::BTreeMap, time::Duration};

use category_mirror::{
    domain::{EndedRuns, Failure, FailureReason, OrganizationId, RunFilter, RunId, RunResult, Skip, SkipReason},
    store::{AttemptProgress, ClaimLimits, NewRun},
};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use proptest::{prelude::*, test_runner::TestRunner};

use super::{LEASE, TestStore, about_to_write, at, held, id, new_run, store_with, time};

/// Where the tests' clock stands: all that ends, ends before.
const NOW: i64 = 95 * 86_400;

/// A run of a random history.
#[derive(Debug, Clone)]
struct Past {
    tenant: &'static str,
    how: How,
    dry_run: bool,
    differences: bool,
    /// Seconds from its end to the moment of the statistics.
    age: i64,
    /// Milliseconds that it took.
    took: i32,
    /// Seconds that it waited for that.
    waited: i64,
    /// Whether counts are summed up, and days are counted for their tenants, when it has ended.
    fold: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum How {
    Succeeds,
    Fails(FailureReason),
    IsSkipped,
    FindsItselfCancelled,
    IsCancelledInTheQueue,
    IsGivenUp,
}

fn past() -> impl Strategy<Value = Past> {
    let how = prop::sample::select(vec![
        How::Succeeds,
        How::Succeeds,
        How::Fails(FailureReason::EmptySource),
        How::Fails(FailureReason::QuotaExhausted),
        How::IsSkipped,
        How::FindsItselfCancelled,
        How::IsCancelledInTheQueue,
        How::IsGivenUp,
    ]);
    let age = prop_oneof![0..400_i64, 0..300_000_i64, 0..94 * 86_400_i64];
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    let waited = prop_oneof![0..5_i64, 0..300_000_i64];
    (prop::sample::select(vec!["a", "b", "c"]), how, flags, age, 1..100_000, waited).prop_map(
        |(tenant, how, (dry_run, differences, fold), age, took, waited)| Past {
            waited,
            tenant,
            how,
            dry_run,
            differences,
            age,
            took,
            fold,
        },
    )
}

impl Past {
    fn ended_at(&self) -> DateTime<Utc> {
        time(NOW - self.age)
    }

    fn is_failure(&self) -> bool {
        !self.dry_run && matches!(self.how, How::Fails(_) | How::IsGivenUp)
    }

    /// Whether it found differences, as far as anybody knows.
    fn found(&self) -> bool {
        self.differences && !matches!(self.how, How::IsCancelledInTheQueue | How::IsGivenUp)
    }

    fn reason(&self) -> &'static str {
        match self.how {
            How::Fails(reason) => reason.as_str(),
            _ => FailureReason::Internal.as_str(),
        }
    }

    /// Lives the run.
    async fn live(&self, store: &TestStore) -> RunId {
        let end = self.ended_at();
        let begin = Some(end - TimeDelta::milliseconds(self.took.into()));
        let accepted_at = end - TimeDelta::milliseconds(self.took.into()) - TimeDelta::seconds(self.waited);
        let new = NewRun { id: id_of(accepted_at), ..new_run(self.tenant, self.dry_run) };
        let run = store.store.accept(begin, &new).await.expect("accepted").run.id;
        if self.how == How::IsCancelledInTheQueue {
            store.cancel(Some(end), run).await.expect("cancelled");
            return run;
        }
        let lease = if self.how == How::IsGivenUp { Duration::ZERO } else { LEASE };
        let claimed = store.store.claim(begin, ClaimLimits::of(1), lease).await.expect("claimed").pop().expect("a run");
        let result = match self.how {
            How::IsGivenUp => {
                assert!(store.reclaim_expired(Some(end), 10, 0).await.expect("rescued")[0].failed);
                return run;
            }
            How::Succeeds => RunResult::Succeeded,
            How::Fails(reason) => RunResult::Failed(Failure::permanent(reason, "no")),
            How::IsSkipped => RunResult::Skipped(Skip {
                reason: SkipReason::Cooldown,
                message: String::new(),
                metadata: BTreeMap::new(),
            }),
            _ => RunResult::Cancelled,
        };
        let plan = about_to_write(&["x"], if self.differences { &["y"] } else { &["x"] }).plan;
        let progress = AttemptProgress { plan, ..AttemptProgress::default() };
        assert!(store.finish(Some(end), held(&claimed), 1, &result, &progress).await.expect("finished"));
        run
    }
}

/// An id of a time, as servers give it.
pub(super) fn id_of(time: DateTime<Utc>) -> RunId {
    let ms = u128::try_from(time.timestamp_millis()).expect("after 1970");
    RunId::from_u128(ms << 80 | RunId::now_v7().as_u128() & (u128::MAX >> 48))
}

/// Forgets everything, the days of the history too.
const FORGET: &str = "do $$
    declare
        day text;
    begin
        truncate run, rollup, rollup_delta, tenant_rollup;
        update tenant_rollup_watermark set day = null;
        for day in select inhrelid::regclass from pg_inherits where inhparent = 'run_history'::regclass loop
            execute format('drop table %s', day);
        end loop;
    end
    $$";

fn counted<'a>(history: impl Iterator<Item = &'a Past>) -> EndedRuns {
    history.fold(EndedRuns::default(), |mut counts, run| {
        match run.how {
            _ if run.dry_run => counts.dry_runs += 1,
            How::Succeeds => counts.succeeded += 1,
            How::Fails(_) | How::IsGivenUp => counts.failed += 1,
            How::IsSkipped => counts.skipped += 1,
            How::FindsItselfCancelled | How::IsCancelledInTheQueue => counts.cancelled += 1,
        }
        counts.out_of_sync += i64::from(run.found());
        counts
    })
}

/// Compares what the store says of a window with what is counted by hand.
async fn compare(store: &TestStore, history: &[(Past, RunId)], window: u64, filter: &RunFilter) {
    let stats = store.stats(at(NOW), filter, Duration::from_secs(window)).await.expect("counted");
    let by_hours = filter.organization.is_some() && filter.tenant.is_none() && filter.visible_tenants.is_none();
    let of_tenants = filter.tenant.is_some() || filter.visible_tenants.is_some();
    let is_long = window > 3 * 86_400;
    let edge = if is_long && of_tenants {
        TimeDelta::days(1)
    } else if is_long || by_hours {
        TimeDelta::hours(1)
    } else {
        TimeDelta::minutes(1)
    };
    let begin = time(NOW - i64::try_from(window).expect("small")).duration_trunc(edge).expect("a time");
    assert_eq!((stats.start_at, stats.end_at), (begin, time(NOW)));

    let is_of_chain = |run: &Past| run.tenant != "a";
    let counts = |run: &Past| {
        run.ended_at() >= begin
            && filter.organization.is_none() | is_of_chain(run)
            && filter.tenant.as_ref().is_none_or(|tenant| tenant.as_str() == run.tenant)
            && filter
                .visible_tenants
                .as_ref()
                .is_none_or(|only| only.iter().any(|tenant| tenant.as_str() == run.tenant))
    };
    let within: Vec<&(Past, RunId)> = history.iter().filter(|(run, _)| counts(run)).collect();
    let runs = || within.iter().map(|(run, _)| run);
    assert_eq!(stats.ended, counted(runs()), "{window} {filter:?}");
    assert_eq!(stats.total, i64::try_from(within.len()).expect("few") + stats.live + stats.live_dry_runs);
    let mut summed = EndedRuns::default();
    for (_, point) in &stats.series {
        summed.succeeded += point.succeeded;
        summed.failed += point.failed;
        summed.dry_runs += point.dry_runs;
    }
    assert_eq!(
        (summed.succeeded, summed.failed, summed.dry_runs),
        (stats.ended.succeeded, stats.ended.failed, stats.ended.dry_runs)
    );
    assert!(stats.series.is_sorted_by_key(|(at, _)| *at) && stats.series.len() <= 122);

    let mut failures: BTreeMap<String, i64> = BTreeMap::new();
    runs().filter(|run| run.is_failure()).for_each(|run| *failures.entry(run.reason().to_owned()).or_default() += 1);
    assert_eq!(stats.failures.into_iter().collect::<BTreeMap<_, _>>(), failures);
    let mut newest: Vec<RunId> = within.iter().filter(|(run, _)| run.is_failure()).map(|(_, id)| *id).collect();
    newest.sort();
    let newest: Vec<RunId> = newest.into_iter().rev().take(5).collect();
    assert_eq!(stats.recent_failures.iter().map(|run| run.id).collect::<Vec<_>>(), newest);

    let mut took: Vec<i32> = runs()
        .filter(|run| !run.dry_run && (run.is_failure() || run.how == How::Succeeds))
        .map(|run| run.took)
        .collect();
    took.sort_unstable();
    for (found, percent) in [(stats.duration_p50, 50), (stats.duration_p95, 95)] {
        let rank = (took.len() * percent).div_ceil(100);
        let exact = rank.checked_sub(1).map(|rank| took[rank]);
        assert_eq!(found.is_some(), exact.is_some());
        if let (Some(found), Some(exact)) = (found, exact) {
            let ratio = found.as_secs_f64() * 1000.0 / f64::from(exact);
            assert!((0.89..1.12).contains(&ratio), "{found:?} {exact} ms");
        }
    }
}

#[test]
fn statistics_agree_with_counting_by_hand() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let store = runtime.block_on(store_with(&["a", "b", "c"]));
    runtime.block_on(store.execute("update tenant set organization_id = 'chain' where id <> 'a'"));
    let chain = OrganizationId::parse("chain").ok();
    let only = |tenants: &[&str]| Some(tenants.iter().map(|tenant| id(tenant)).collect());
    let scopes = [
        RunFilter::default(),
        RunFilter { organization: chain.clone(), ..RunFilter::default() },
        RunFilter { tenant: Some(id("b")), ..RunFilter::default() },
        RunFilter { visible_tenants: only(&["a", "c"]), ..RunFilter::default() },
        RunFilter { visible_tenants: only(&["a", "c"]), organization: chain, ..RunFilter::default() },
        RunFilter { tenant: Some(id("b")), visible_tenants: only(&["a"]), ..RunFilter::default() },
    ];
    let window = prop_oneof![1..400_u64, 1..300_000_u64, 1..90 * 86_400_u64];
    let histories = (prop::collection::vec(past(), 0..25), prop::collection::vec(window, 2));
    let checked = TestRunner::new(super::life::few_cases(6)).run(&histories, |(history, windows)| {
        runtime.block_on(async {
            store.execute(FORGET).await;
            let mut lived = Vec::new();
            for run in history {
                let id = run.live(&store).await;
                if run.fold {
                    store.compact_rollup_deltas(1).await.expect("folded");
                    // Not to the end: some runs end on days that are counted already, some on others.
                    for _ in 0..run.age % 50 {
                        store.roll_up_day(at(NOW)).await.expect("counted");
                    }
                }
                lived.push((run, id));
            }
            for scope in &scopes {
                for window in &windows {
                    compare(&store, &lived, *window, scope).await;
                }
            }
            while store.compact_rollup_deltas(7).await.expect("folded") > 0 {}
            while store.roll_up_day(at(NOW)).await.expect("counted") {}
            for scope in &scopes {
                for window in &windows {
                    compare(&store, &lived, *window, scope).await;
                }
            }
            Ok(())
        })
    });
    checked.expect("agrees");
}
