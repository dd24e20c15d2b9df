//! A run's life under random interleavings: whatever two workers, callers and the clock do, the table says what a small model says.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use category_mirror::{
    domain::{RunId, RunResult},
    store::{AttemptProgress, BeginWriteResult, ClaimLimits, LeaseKey, LeaseStatus},
};
use proptest::{prelude::*, test_runner::TestRunner};
use sqlx::{FromRow, Row};

use super::{LEASE, TestStore, about_to_write, at, failed_attempt, model::Life, new_run, store_with, time};
use crate::state_machine::is_step;

const TENANTS: [&str; 3] = ["a", "b", "c"];
/// Their organizations.
const LANES: [Option<&str>; 3] = [None, Some("chain"), Some("chain")];
const LEASE_SECONDS: i64 = 30;
/// How often a run may be handed back before an expired lease ends it.
const MAX_EXPIRATIONS: i32 = 2;

/// A few cases in every run of the tests; `PROPTEST_CASES` asks for more.
pub(super) fn few_cases(cases: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: asked.unwrap_or(cases), failure_persistence: None, ..ProptestConfig::default() }
}

/// What somebody does. A worker acts on a claim that it once got, however long ago: `claim` picks one of them.
#[derive(Debug, Clone)]
enum Step {
    Wait { seconds: i64 },
    Accept { tenant: usize, dry_run: bool, in_a_group: bool },
    Cancel { tenant: usize },
    Claim { worker: usize, limit: i64 },
    Heartbeat { worker: usize },
    HandBack { worker: usize },
    BeginWriteResult { worker: usize, claim: prop::sample::Index },
    Finish { worker: usize, claim: prop::sample::Index },
    Retry { worker: usize, claim: prop::sample::Index, delay: i64, counts: bool },
    Promote { limit: i64 },
    Rescue { limit: i64 },
}

fn step() -> impl Strategy<Value = Step> {
    let worker = || 0..2_usize;
    let claim = any::<prop::sample::Index>;
    prop_oneof![
        3 => (0..40_i64).prop_map(|seconds| Step::Wait { seconds }),
        3 => (0..TENANTS.len(), any::<bool>(), any::<bool>())
            .prop_map(|(tenant, dry_run, in_a_group)| Step::Accept { tenant, dry_run, in_a_group }),
        1 => (0..TENANTS.len()).prop_map(|tenant| Step::Cancel { tenant }),
        4 => (worker(), 0..3_i64).prop_map(|(worker, limit)| Step::Claim { worker, limit }),
        2 => worker().prop_map(|worker| Step::Heartbeat { worker }),
        1 => worker().prop_map(|worker| Step::HandBack { worker }),
        2 => (worker(), claim()).prop_map(|(worker, claim)| Step::BeginWriteResult { worker, claim }),
        1 => (worker(), claim()).prop_map(|(worker, claim)| Step::Finish { worker, claim }),
        2 => (worker(), claim(), 0..40_i64, any::<bool>())
            .prop_map(|(worker, claim, delay, counts)| Step::Retry { worker, claim, delay, counts }),
        2 => (0..3_i64).prop_map(|limit| Step::Promote { limit }),
        3 => (0..3_i64).prop_map(|limit| Step::Rescue { limit }),
    ]
}

/// The model: every run, the clock, and the claims that each worker ever got.
#[derive(Default)]
struct World {
    now: i64,
    runs: BTreeMap<RunId, Life>,
    claims: [Vec<LeaseKey>; 2],
    /// The runs that were handed back last of all while they wrote.
    writing: BTreeSet<RunId>,
}

impl World {
    fn live(&mut self, tenant: usize) -> Option<(RunId, &mut Life)> {
        let run = self.runs.iter_mut().find(|(_, run)| run.is_live() && run.tenant_id == TENANTS[tenant]);
        run.map(|(id, run)| (*id, run))
    }

    fn held(&mut self, held: LeaseKey) -> Option<&mut Life> {
        self.runs.get_mut(&held.id).filter(|run| run.is_held(held.fencing_token))
    }

    /// The runs of a state, the most urgent first.
    fn sorted(&self, is_one: impl Fn(&Life) -> bool, key: impl Fn(&Life) -> Option<i64>) -> Vec<RunId> {
        let mut runs: Vec<_> = self.runs.iter().filter(|(_, run)| is_one(run)).collect();
        runs.sort_by_key(|(id, run)| (key(run), **id));
        runs.into_iter().map(|(id, _)| *id).collect()
    }

    async fn take(&mut self, step: &Step, store: &TestStore) {
        let now = self.now;
        match step {
            Step::Wait { seconds } => self.now += seconds,
            Step::Accept { tenant, dry_run, in_a_group } => self.accept(*tenant, *dry_run, *in_a_group, store).await,
            Step::Cancel { tenant } => {
                let writing = self.writing.clone();
                let Some((id, run)) = self.live(*tenant) else { return };
                if !run.cancel_requested && !writing.contains(&id) {
                    run.due = None;
                }
                run.cancel_requested = true;
                if run.state == "queued" && !run.write_intent {
                    run.end("cancelled", now)
                } else {
                    run.revision += 1
                }
                assert!(store.cancel(at(now), id).await.expect("cancelled").is_some());
            }
            Step::Claim { worker, limit } => self.claim(*worker, *limit, store).await,
            Step::Heartbeat { worker } => {
                let held = self.claims[*worker].clone();
                let mut expected = Vec::new();
                for claim in &held {
                    if let Some(run) = self.held(*claim) {
                        run.lease = Some(now + LEASE_SECONDS);
                        let cancel_requested = run.cancel_requested;
                        expected.push(LeaseStatus { id: claim.id, cancel_requested, renewed: true });
                    }
                }
                let mut heard = store.renew_leases(at(now), &held, LEASE).await.expect("heard");
                heard.sort();
                expected.sort();
                assert_eq!(heard, expected);
            }
            Step::HandBack { worker } => {
                let held = std::mem::take(&mut self.claims[*worker]);
                let mut expected = Vec::new();
                for claim in &held {
                    if let Some(run) = self.held(*claim) {
                        run.uncounted_attempts += 1;
                        // What it writes may be on its way.
                        run.queue(run.lease.filter(|_| run.write_intent));
                        if run.write_intent {
                            self.writing.insert(claim.id);
                        }
                        expected.push(claim.id);
                    }
                }
                let mut done = store.release(&held).await.expect("handed back");
                done.sort();
                expected.sort();
                assert_eq!(done, expected);
            }
            Step::BeginWriteResult { worker, claim } => {
                let Some(held) = self.pick(*worker, claim) else { return };
                let expected = match self.held(held).filter(|run| run.lease.is_some_and(|lease| lease > now)) {
                    // The runner has no writer for a dry run: it never asks.
                    Some(run) if run.dry_run => return,
                    Some(run) => {
                        run.lease = Some(now + LEASE_SECONDS);
                        run.revision += 1;
                        run.write_intent |= !run.cancel_requested;
                        if run.cancel_requested { BeginWriteResult::Cancelled } else { BeginWriteResult::Granted }
                    }
                    None => BeginWriteResult::LeaseLost,
                };
                let progress = about_to_write(&["x"], &["y"]);
                assert_eq!(store.begin_write(at(now), held, &progress, LEASE).await.expect("asked"), expected);
            }
            Step::Finish { worker, claim } => {
                let Some(held) = self.pick(*worker, claim) else { return };
                let expected = self.held(held).map(|run| {
                    run.write_intent = false;
                    run.end("succeeded", now);
                });
                let done = store.finish(at(now), held, 1, &RunResult::Succeeded, &AttemptProgress::default()).await;
                assert_eq!(done.expect("answered"), expected.is_some());
            }
            Step::Retry { worker, claim, delay, counts } => {
                let Some(held) = self.pick(*worker, claim) else { return };
                let expected = self.held(held).map(|run| {
                    run.write_intent = false;
                    // What is cancelled does not wait.
                    run.queue((!run.cancel_requested).then_some(now + delay));
                    run.uncounted_attempts += i32::from(!counts);
                });
                if expected.is_some() {
                    self.writing.remove(&held.id);
                }
                let wait = Duration::from_secs(delay.unsigned_abs());
                let done =
                    store.retry(at(now), held, wait, *counts, &failed_attempt(1), &AttemptProgress::default()).await;
                assert_eq!(done.expect("answered"), expected.is_some());
            }
            Step::Rescue { limit } => self.reclaim_expired(*limit, store).await,
            Step::Promote { limit } => self.enqueue_due(*limit, store).await,
        }
    }

    fn pick(&self, worker: usize, claim: &prop::sample::Index) -> Option<LeaseKey> {
        let claims = &self.claims[worker];
        (!claims.is_empty()).then(|| *claim.get(claims))
    }

    async fn accept(&mut self, tenant: usize, dry_run: bool, in_a_group: bool, store: &TestStore) {
        let now = self.now;
        let new = new_run(TENANTS[tenant], dry_run);
        let accepted = if in_a_group {
            let mut answers = store.accept_all(at(now), std::slice::from_ref(&new)).await.expect("accepted");
            answers.pop().flatten().expect("an answer, for nobody is in the way")
        } else {
            store.accept(at(now), &new).await
        };
        match self.live(tenant) {
            None => {
                assert!(accepted.expect("accepted").created);
                // Behind the first in line, and behind everybody of the same organization who is in it.
                let line = || self.runs.values().filter(|run| run.is_in_line());
                let fairness_key = LANES[tenant].map(str::to_owned);
                let first = line().map(|run| run.fairness_rank).min().unwrap_or_default();
                let last = line()
                    .filter(|run| fairness_key.is_some() && run.fairness_key == fairness_key)
                    .map(|run| run.fairness_rank)
                    .max();
                let fairness_rank = 1 + first.max(last.unwrap_or_default());
                let run = Life {
                    fairness_key,
                    fairness_rank,
                    lease_expirations: 0,
                    tenant_id: TENANTS[tenant].to_owned(),
                    dry_run,
                    state: "queued".to_owned(),
                    fencing_token: 0,
                    uncounted_attempts: 0,
                    revision: 1,
                    due: None,
                    lease: None,
                    ended: None,
                    cancel_requested: false,
                    write_intent: false,
                };
                self.runs.insert(new.id, run);
            }
            // One whose cancellation is wanted does not do what is asked for.
            Some((id, run)) if run.dry_run == dry_run && !run.cancel_requested => {
                let accepted = accepted.expect("joined");
                assert_eq!((accepted.run.id, accepted.joined), (id, true));
            }
            Some(_) => assert_eq!(accepted.expect_err("in the way").reason(), "RUN_IN_PROGRESS"),
        }
    }

    async fn claim(&mut self, worker: usize, limit: i64, store: &TestStore) {
        let now = self.now;
        let mut line = self.sorted(Life::is_in_line, |run| Some(run.fairness_rank));
        line.truncate(usize::try_from(limit).expect("small"));
        let claimed = store.store.claim(at(now), ClaimLimits::of(limit), LEASE).await.expect("claimed");
        assert_eq!(claimed.iter().map(|claimed| claimed.run.id).collect::<Vec<_>>(), line);
        for claimed in claimed {
            let run = self.runs.get_mut(&claimed.run.id).expect("known");
            (run.state, run.lease, run.due) = ("running".to_owned(), Some(now + LEASE_SECONDS), None);
            run.fencing_token += 1;
            run.revision += 1;
            assert_eq!(claimed.fencing_token, run.fencing_token);
            self.claims[worker].push(LeaseKey { id: claimed.run.id, fencing_token: claimed.fencing_token });
        }
    }

    async fn reclaim_expired(&mut self, limit: i64, store: &TestStore) {
        let now = self.now;
        let is_expired = |run: &Life| run.lease.is_some_and(|lease| lease < now);
        let expired = self.sorted(is_expired, |run| run.lease);
        let reclaimed = store.reclaim_expired(at(now), limit, MAX_EXPIRATIONS).await.expect("rescued");
        assert_eq!(reclaimed.len(), expired.len().min(usize::try_from(limit).expect("small")));
        // Of leases that ended together, any may be the first.
        let latest = expired.get(reclaimed.len().saturating_sub(1)).and_then(|id| self.runs[id].lease);
        for one in reclaimed {
            let run = self.runs.get_mut(&one.id).expect("known");
            assert!(run.state == "running" && run.lease <= latest, "{run:?}");
            assert_eq!(one.failed, run.lease_expirations >= MAX_EXPIRATIONS);
            run.uncounted_attempts += 1;
            run.lease_expirations += 1;
            if one.failed {
                run.end("failed", now);
                continue;
            }
            // At once the first time, then after a random while.
            let (due,): (Option<i64>,) =
                sqlx::query_as("select ceil(extract(epoch from next_attempt_at - $2))::bigint from run where id = $1")
                    .bind(one.id)
                    .bind(time(0))
                    .fetch_one(&store.pool)
                    .await
                    .expect("read");
            let longest = now + i64::from(run.lease_expirations) - 1;
            assert!(if run.lease_expirations == 1 {
                due.is_none()
            } else {
                due.is_some_and(|due| now <= due && due <= longest)
            });
            run.queue(due);
            self.writing.remove(&one.id);
        }
    }

    async fn enqueue_due(&mut self, limit: i64, store: &TestStore) {
        let now = self.now;
        let fairness_rank = 1 + self
            .runs
            .values()
            .filter(|run| run.is_in_line())
            .map(|run| run.fairness_rank)
            .min()
            .unwrap_or_default();
        let mut due = self.sorted(|run| run.due.is_some_and(|due| due <= now), |run| run.due);
        let enqueued = store.enqueue_due(at(now), limit).await.expect("promoted");
        assert_eq!(
            usize::try_from(enqueued.runs).expect("small"),
            due.len().min(usize::try_from(limit).expect("small"))
        );
        // Of those that are due at the same time, any may be the first.
        let rows: Vec<(RunId,)> =
            sqlx::query_as("select id from run where state = 'queued' and next_attempt_at is null")
                .fetch_all(&store.pool)
                .await
                .expect("read");
        due.retain(|id| rows.contains(&(*id,)));
        for id in due {
            let run = self.runs.get_mut(&id).expect("known");
            (run.due, run.fairness_rank) = (None, fairness_rank);
            run.revision += 1;
        }
    }

    /// Compares the table with the model, and both with the step before.
    async fn check(&self, before: &BTreeMap<RunId, Life>, store: &TestStore) {
        let rows = sqlx::query(
            "select id, tenant_id, dry_run, state, fencing_token, uncounted_attempts, revision, cancel_requested,
                    write_intent is not null as write_intent, fairness_key, fairness_rank, lease_expirations,
                    case when state = 'queued' then ceil(extract(epoch from next_attempt_at - $1))::bigint end as due,
                    extract(epoch from lease_expires_at - $1)::bigint as lease, null::bigint as ended
               from run
              union all
             select id, tenant_id, dry_run, state, fencing_token, uncounted_attempts, revision, cancel_requested,
                    write_intent is not null, null, 0, 0, null, null, extract(epoch from ended_at - $1)::bigint
               from run_history",
        );
        let rows = rows.bind(time(0)).fetch_all(&store.pool).await.expect("read");
        let table: BTreeMap<RunId, Life> =
            rows.iter().map(|row| (row.get("id"), Life::from_row(row).expect("a life"))).collect();
        assert_eq!(table.len(), rows.len(), "a run is live or in the history, never both");
        assert_eq!(table, self.runs);
        for tenant in TENANTS {
            assert!(table.values().filter(|run| run.is_live() && run.tenant_id == tenant).count() <= 1, "one live run");
        }
        for (id, new) in &table {
            let old = before.get(id).map(|old| old.state.as_str());
            assert!(is_step(old, &new.state), "{old:?} became {}", new.state);
        }
        for (id, old) in before {
            let new = &table[id];
            assert!(old.is_live() || new == old, "what is over changed: {old:?} {new:?}");
            assert!(
                new.fencing_token >= old.fencing_token
                    && new.uncounted_attempts >= old.uncounted_attempts
                    && new.uncounted_attempts <= new.fencing_token
            );
            assert!(new.revision >= old.revision);
            // A renewed lease is all that may change unseen.
            let unseen = Life { lease: new.lease, ..old.clone() };
            assert!(new.revision > old.revision || *new == unseen, "changed without a revision: {old:?} {new:?}");
        }
    }
}

#[test]
fn whatever_happens_a_run_lives_as_the_model_says() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let store = runtime.block_on(store_with(&TENANTS));
    runtime.block_on(store.execute("update tenant set organization_id = 'chain' where id <> 'a'"));
    let checked = TestRunner::new(few_cases(24)).run(&prop::collection::vec(step(), 1..60), |steps| {
        runtime.block_on(async {
            store.execute("truncate run, run_history, last_success").await;
            let mut world = World::default();
            let mut before = BTreeMap::new();
            for step in &steps {
                world.take(step, &store).await;
                world.check(&before, &store).await;
                before = world.runs.clone();
            }
            Ok(())
        })
    });
    checked.expect("as the model says");
}
