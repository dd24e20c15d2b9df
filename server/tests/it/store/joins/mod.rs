//! Joining: every kind of live run met by every kind of request. Joined means that the run does what is asked for, as things are now.

mod cases;
mod placing;

use cases::{IdempotentRequest, Met, Origin, expected, lives, requests};
use category_mirror::{
    domain::{BatchGuardRule, Decision, RunId, RunOptions, RunResult},
    error::Error,
    store::{AttemptProgress, BatchReservation, BatchTarget, FullGuard, NewBatch, NewDecision, NewRun},
};
use serde_json::Value;
use sqlx::{Row, postgres::PgRow};

use super::{
    LEASE, TestStore, at,
    batches::{chunk, new_batch},
    held, id, new_run, shape, store_with, time,
};

/// When it is asked for the run.
const ASKED: i64 = 50;

impl TestStore {
    /// Asks, and tells what came of it: why the run cannot be joined, if it cannot.
    async fn press(&self, tenant: &str, run: RunId, asked: &IdempotentRequest) -> Result<(), String> {
        if asked.is_batch {
            let target = BatchTarget { organization: None, visible_tenants: Some(vec![id(tenant)]) };
            let batch = NewBatch { kind: asked.kind, ..new_batch(target, 1) };
            let (batch, _) = self.accept_batch(at(ASKED), &batch).await.expect("accepted");
            self.process_batch_chunk(at(ASKED), chunk(9), |_, _| None).await.expect("worked").expect("one tenant");
            let (reason, error): (String, Value) =
                sqlx::query_as("select reason, error from run_history where batch_id = $1")
                    .bind(batch.id)
                    .fetch_one(&self.pool)
                    .await
                    .expect("a run beside the live one");
            let metadata = &error["metadata"];
            assert_eq!(metadata["run"], format!("tenants/{tenant}/runs/{run}"), "it is named");
            return match reason.as_str() {
                "JOINED" => Ok(()),
                reason => Err(format!(
                    "{}{}",
                    if reason == "RUN_IN_PROGRESS" { "" } else { reason },
                    metadata["join_refusal"].as_str().unwrap_or("?")
                )),
            };
        }
        let new = NewRun {
            kind: asked.kind,
            options: asked.options.clone(),
            request_id: Some(tenant.to_owned()),
            ..new_run(tenant, false)
        };
        // By turns the two ways of acceptance.
        let answer = if tenant.len().is_multiple_of(2) {
            self.accept(at(ASKED), &new).await
        } else {
            let mut answers = self.accept_all(at(ASKED), std::slice::from_ref(&new)).await.expect("answered");
            answers.pop().flatten().expect("nobody is in the way")
        };
        match &answer {
            Ok(_) => {
                assert_eq!(shape(&answer), Ok((run, true, false)));
                Ok(())
            }
            Err(error) => {
                assert_eq!(error.reason(), "RUN_IN_PROGRESS");
                assert_eq!(error.metadata()["run"], format!("tenants/{tenant}/runs/{run}"), "it is named");
                Err(match error {
                    Error::RunInProgress { .. } => "OTHER_REQUEST".to_owned(),
                    error => error.metadata()["join_refusal"].clone(),
                })
            }
        }
    }

    /// The run's row, without what a join may change; that; and whether the request id is used up.
    async fn row(&self, run: RunId, request_id: &str) -> (Value, Option<i64>, bool, bool) {
        let row: PgRow = sqlx::query(
            "select to_jsonb(run) - '{joined_at, bulk, fairness_key, fairness_rank}'::text[] as row, bulk,
                    extract(epoch from joined_at - $2)::bigint as joined_at, exists (select 1 from idempotency_key where result_id = run.id) as used
               from run
              where id = $1",
        )
        .bind(run)
        .bind(time(0))
        .fetch_one(&self.pool)
        .await
        .expect(request_id);
        (row.get("row"), row.get("joined_at"), row.get("bulk"), row.get("used"))
    }
}

#[tokio::test]
async fn every_live_run_and_every_request() {
    let store = store_with(&[]).await;
    store
        .execute(
            "insert into platform_category (slug, display_name, gcid, created_at, updated_at)
             values ('cafe', 'Cafe', 'gcid:cafe', now(), now()), ('yoga', 'Yoga', null, now(), now());
             insert into regional_mapping (slug, region_code, gcid) values ('yoga', 'DE', 'gcid:sauna')",
        )
        .await;
    let mut cases = 0;
    for live in lives() {
        for asked in requests(&live) {
            cases += 1;
            let tenant = format!("t{cases:0width$}", width = 4 + cases % 2);
            let run = store.place(&tenant, &live).await;
            let (before, ..) = store.row(run, &tenant).await;
            let answer = store.press(&tenant, run, &asked).await;
            let (after, joined_at, bulk, used) = store.row(run, &tenant).await;
            let case = format!("{live:?}, {asked:?}");
            let is_bulk = live.origin != Origin::Single;
            assert_eq!(before, after, "{case}");
            match expected(&live, &asked) {
                Met::Joined { anew, enqueued } => {
                    assert_eq!(answer, Ok(()), "{case}");
                    assert_eq!((joined_at, bulk), (anew.then_some(ASKED), is_bulk && !enqueued), "{case}");
                    assert_eq!(used, !asked.is_batch, "{case}: the request id stands for it");
                }
                Met::Refused(why) => {
                    assert_eq!(answer, Err(why.to_owned()), "{case}");
                    assert_eq!((joined_at, bulk, used), (None, is_bulk, false), "{case}: nothing is changed");
                }
            }
            store.undo(live.moved).await;
            sqlx::query("delete from run where id = $1").bind(run).execute(&store.pool).await.expect("cleared");
        }
    }
    assert!(cases > 300, "{cases}");
}

#[tokio::test]
async fn a_run_that_waits_behind_the_bulk_passes_it_once_it_is_joined_and_needs_no_place() {
    let store = store_with(&[]).await;
    let target = store.chain("chain", 30).await;
    let batch = store.batch_of(target, 30).await;
    store.work_off(99).await;
    store.execute("update batch set max_changes = 0").await;
    let last = "chain-9";
    let joined = store.accept(at(2), &new_run(last, false)).await.expect("joined");
    assert!(joined.joined && joined.run.batch == Some(batch));

    let first = store.claim_one(3).await;
    assert_eq!((first.run.tenant.as_str(), first.bulk), (last, false), "before all of the bulk");
    assert_eq!(
        store.reserve_batch_write(at(4), held(&first), true, false).await.expect("asked"),
        BatchReservation::Granted
    );
    let other = store.claim_one(3).await;
    assert!(other.bulk);
    assert_eq!(
        store.reserve_batch_write(at(4), held(&other), false, false).await.expect("asked"),
        BatchReservation::Refused(FullGuard::Rule(BatchGuardRule::Tenants))
    );

    // The batch still counts it.
    let done = store.finish(at(5), held(&first), 1, &RunResult::Succeeded, &AttemptProgress::default()).await;
    assert!(done.expect("answered"));
    assert_eq!(store.get_batch(batch).await.counts.succeeded, 1);
}

#[tokio::test]
async fn a_cancelled_batch_leaves_alone_what_another_request_has_joined() {
    let store = store_with(&[]).await;
    let target = store.chain("chain", 4).await;
    let batch = store.batch_of(target, 4).await;
    store.work_off(99).await;
    assert_eq!(store.claim(at(2), 2, LEASE).await.expect("claimed").len(), 2);
    for tenant in ["chain-0", "chain-3"] {
        assert!(store.accept(at(3), &new_run(tenant, false)).await.expect("joined").joined);
    }
    assert!(store.cancel_batch(at(4), batch).await.expect("cancelled"));
    // It can be joined even now, as long as nobody has come to cancel it.
    assert!(store.accept(at(4), &new_run("chain-2", false)).await.expect("joined").joined);
    store.work_off(99).await;
    let wanted: Vec<(String, bool)> = sqlx::query_as("select tenant_id, cancel_requested from run order by tenant_id")
        .fetch_all(&store.pool)
        .await
        .expect("read");
    let of = |tenant: &str, cancelled| (tenant.to_owned(), cancelled);
    assert_eq!(wanted, [of("chain-0", false), of("chain-1", true), of("chain-2", false), of("chain-3", false)]);
    let counts = store.get_batch(batch).await.counts;
    assert_eq!((counts.queued, counts.running), (2, 2), "those that are not cancelled, and those that run");
}

#[tokio::test]
async fn of_many_at_once_each_joins_a_run_that_does_it_or_starts_one() {
    let store = store_with(&["a"]).await;
    // A worker ends runs as fast as it can, while callers ask.
    let worker = async {
        for second in 1..60 {
            for claimed in store.claim(at(second), 9, LEASE).await.expect("claimed") {
                let ended = store
                    .finish(at(second), held(&claimed), 1, &RunResult::Succeeded, &AttemptProgress::default())
                    .await;
                ended.expect("answered");
            }
        }
    };
    let callers = futures::future::join_all((0..6).map(|_| {
        let store = store.store.clone();
        async move {
            let mut answers = Vec::new();
            for second in 1..20 {
                answers.push(store.accept(at(second), &new_run("a", false)).await.expect("accepted"));
            }
            answers
        }
    }));
    let ((), answers) = tokio::join!(worker, callers);
    for answer in answers.into_iter().flatten() {
        assert_ne!(answer.joined, answer.created);
        assert!(!answer.run.state.is_terminal(), "nobody joins what has ended");
    }
}

#[tokio::test]
async fn a_decision_that_is_refused_leaves_the_live_run_to_whoever_claims_next() {
    let store = store_with(&["a"]).await;
    let tenant = id("a");
    let options = RunOptions { decision: Some(Decision::PushAgain), ..RunOptions::default() };
    for second in 1..20 {
        let new = NewRun { options: options.clone(), ..new_run("a", false) };
        let run = store.accept(at(second), &new).await.expect("accepted").run;
        let again = NewDecision {
            tenant: &tenant,
            decision: Decision::PushAgain,
            caller: "tester",
            reason: "why",
            request: None,
            run: Some(&new),
        };
        let error = store.decide(at(second), &again).await.expect_err("the run is live");
        assert_eq!((error.reason(), &error.metadata()["run"]), ("RUN_IN_PROGRESS", &run.resource_name()));
        let claimed = store.claim_one(second).await;
        let ended =
            store.finish(at(second), held(&claimed), 1, &RunResult::Succeeded, &AttemptProgress::default()).await;
        assert!(ended.expect("answered"));
    }
}
