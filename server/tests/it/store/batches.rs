//! Batches: made a chunk at a time, by anybody, each tenant once.

use std::collections::BTreeMap;

use category_mirror::{
    domain::{
        Batch, BatchCounts, BatchGuardRule, BatchId, BatchState, Flag, FlagAtAcceptance, GuardRule, OrganizationId,
        RunKind, RunOptions, RunOverrides, RunResult, Skip, SkipReason, Strategy, TenantId,
    },
    store::{
        AttemptProgress, BatchReservation, BatchTarget, ChunkLimits, ChunkResult, ClaimLimits, FullGuard, NewBatch,
    },
};

use super::{DRY, LEASE, REAL, TestStore, at, held, new_run, shape, store_with, tenant, time};

pub(super) const EVERYBODY: BatchTarget = BatchTarget { organization: None, visible_tenants: None };

pub(super) fn chunk(size: i64) -> ChunkLimits {
    ChunkLimits { size, live: 1000 }
}

pub(super) fn new_batch(target: BatchTarget, tenants: i64) -> NewBatch {
    NewBatch {
        id: BatchId::now_v7(),
        target,
        kind: RunKind { strategy: Strategy::PlatformToGbp, dry_run: REAL },
        flag_at_acceptance: FlagAtAcceptance {
            flag: Flag::CategoryMirroring,
            rollout: None,
            forced: Some(true),
            on_by_default: false,
        },
        confirmed: Some(tenants),
        run_overrides: RunOverrides::default(),
        overrides: vec![],
        reason: String::new(),
        caller: "tester".to_owned(),
        request_id: None,
        max_attempts: 5,
        max_live: 1000,
    }
}

impl TestStore {
    pub(super) async fn batch_of(&self, target: BatchTarget, tenants: i64) -> BatchId {
        self.accept_batch(at(0), &new_batch(target, tenants)).await.expect("accepted").0.id
    }

    pub(super) async fn get_batch(&self, batch: BatchId) -> Batch {
        self.batch(batch).await.expect("read").expect("there")
    }

    pub(super) async fn work(&self, chunk: ChunkLimits) -> Option<ChunkResult> {
        self.process_batch_chunk(at(1), chunk, |_, _| None).await.expect("worked")
    }

    /// Works until nothing is left to do.
    pub(super) async fn work_off(&self, size: i64) {
        while self.work(chunk(size)).await.is_some() {}
    }

    pub(super) async fn chain(&self, organization: &str, tenants: usize) -> BatchTarget {
        let organization = OrganizationId::parse(organization).expect("an id");
        for n in 0..tenants {
            let mut tenant = tenant(&format!("{organization}-{n}"));
            tenant.organization = Some(organization.clone());
            self.insert_tenant(at(0), &tenant).await.expect("a tenant");
        }
        BatchTarget { organization: Some(organization), visible_tenants: None }
    }

    /// Tenant, state and reason of each run of a batch.
    pub(super) async fn runs_of(&self, batch: BatchId) -> BTreeMap<String, (String, Option<String>)> {
        let rows: Vec<(String, String, Option<String>)> =
            sqlx::query_as("select tenant_id, state, reason from all_runs where batch_id = $1")
                .bind(batch)
                .fetch_all(&self.pool)
                .await
                .expect("read");
        let count = rows.len();
        let runs: BTreeMap<_, _> = rows.into_iter().map(|(tenant, state, reason)| (tenant, (state, reason))).collect();
        assert_eq!(runs.len(), count, "a tenant has one run of a batch");
        runs
    }

    /// Claims everything and ends it well.
    async fn end_all(&self) {
        for claimed in self.claim(at(2), 1000, LEASE).await.expect("claimed") {
            let ended = self.finish(at(2), held(&claimed), 1, &RunResult::Succeeded, &AttemptProgress::default()).await;
            assert!(ended.expect("ended"));
        }
    }
}

pub(super) fn sum(counts: BatchCounts) -> i64 {
    let BatchCounts { pending, queued, running, succeeded, failed, skipped, joined, cancelled } = counts;
    pending + queued + running + succeeded + failed + skipped + joined + cancelled
}

#[tokio::test]
async fn a_batch_is_made_a_chunk_at_a_time_and_every_number_is_of_one_moment() {
    let store = store_with(&["a", "b", "c", "d", "e"]).await;
    let batch = store.batch_of(EVERYBODY, 5).await;

    let first = store.work(chunk(2)).await.expect("two");
    assert_eq!((first.batch, first.changed.len(), first.is_done), (batch, 2, false));
    let counts = store.get_batch(batch).await.counts;
    assert_eq!((counts.pending, counts.queued, sum(counts)), (3, 2, 5));
    assert_eq!(store.claim(at(2), 1, LEASE).await.expect("claimed").len(), 1);
    let counts = store.get_batch(batch).await.counts;
    assert_eq!((counts.queued, counts.running, sum(counts)), (1, 1, 5));

    assert!(!store.work(chunk(2)).await.expect("two more").is_done);
    let last = store.work(chunk(2)).await.expect("the last");
    assert_eq!((last.changed.len(), last.is_done), (1, true));
    assert_eq!((store.work(chunk(2)).await, store.has_batch_to_process().await.expect("asked")), (None, false));
    assert_eq!(store.get_batch(batch).await.state, BatchState::Running);
    assert_eq!(store.runs_of(batch).await.len(), 5);
}

#[tokio::test]
async fn a_batch_is_over_with_its_last_run_whichever_comes_last() {
    for size in [1, 2, 99] {
        let store = store_with(&["a", "b"]).await;
        let batch = store.batch_of(EVERYBODY, 2).await;
        while store.work(chunk(size)).await.is_some() {
            assert_eq!(store.get_batch(batch).await.ended_at, None);
            store.end_all().await;
        }
        let ended = store.get_batch(batch).await;
        assert_eq!((ended.state, ended.counts.succeeded, sum(ended.counts)), (BatchState::Completed, 2, 2), "{size}");
        assert!(ended.ended_at.is_some());
    }
}

#[tokio::test]
async fn many_workers_at_once_make_each_run_once() {
    let store = store_with(&[]).await;
    let target = store.chain("chain", 40).await;
    let batch = store.batch_of(target, 40).await;
    let worker =
        async || while store.work(chunk(3)).await.is_some() || store.has_batch_to_process().await.expect("asked") {};
    tokio::join!(worker(), worker(), worker(), worker());
    let counts = store.get_batch(batch).await.counts;
    assert_eq!((counts.queued, counts.pending, store.runs_of(batch).await.len()), (40, 0, 40));
}

#[tokio::test]
async fn a_batch_waits_while_enough_of_its_runs_are_live() {
    let store = store_with(&["a", "b", "c"]).await;
    store.batch_of(EVERYBODY, 3).await;
    let chunk = ChunkLimits { size: 1, live: 2 };
    assert!(store.work(chunk).await.is_some() && store.work(chunk).await.is_some());
    assert_eq!(store.work(chunk).await, None);
    assert!(store.has_batch_to_process().await.expect("asked"), "it waits");
    store.end_all().await;
    assert!(store.work(chunk).await.is_some());
}

#[tokio::test]
async fn two_batches_take_turns_and_interactive_runs_pass_both() {
    let store = store_with(&["single"]).await;
    let (one, other) = (store.chain("one", 3).await, store.chain("other", 3).await);
    store.batch_of(one, 3).await;
    store.work_off(99).await;
    store.batch_of(other, 3).await;
    // Later: the ids of both are times, and decide between runs whose turn is the same.
    while store.process_batch_chunk(at(2), chunk(99), |_, _| None).await.expect("worked").is_some() {}
    store.accepted(2, "single").await;

    let claimed = store.store.claim(at(9), ClaimLimits::of(99), LEASE).await.expect("claimed");
    let order: Vec<&str> = claimed.iter().map(|claimed| claimed.run.tenant.as_str()).collect();
    assert_eq!(order, ["single", "one-0", "one-1", "other-0", "one-2", "other-1", "other-2"]);
}

#[tokio::test]
async fn a_tenant_with_a_live_run_is_joined_or_skipped_and_either_is_recorded() {
    let store = store_with(&["a", "b", "c"]).await;
    let same = store.accept(at(1), &new_run("a", REAL)).await.expect("accepted").run;
    store.accept(at(1), &new_run("b", DRY)).await.expect("accepted");
    let batch = store.batch_of(EVERYBODY, 3).await;
    store.work_off(99).await;

    let skipped = |reason: &str| ("skipped".to_owned(), Some(reason.to_owned()));
    let runs = store.runs_of(batch).await;
    assert_eq!((&runs["a"], &runs["b"]), (&skipped("JOINED"), &skipped("RUN_IN_PROGRESS")));
    assert_eq!(runs["c"], ("queued".to_owned(), None));
    let counts = store.get_batch(batch).await.counts;
    assert_eq!((counts.joined, counts.skipped, counts.queued), (1, 1, 1));
    let named: String =
        sqlx::query_scalar("select error -> 'metadata' ->> 'run' from run_history where reason = 'JOINED'")
            .fetch_one(&store.pool)
            .await
            .expect("read");
    assert_eq!(named, same.resource_name());
}

#[tokio::test]
async fn whom_it_touches_is_fixed_when_it_is_accepted() {
    let store = store_with(&["a", "b", "c"]).await;
    let batch = store.batch_of(EVERYBODY, 3).await;
    // One comes, one goes, one loses its location.
    store.insert_tenant(at(1), &tenant("aa")).await.expect("a tenant");
    store.delete_tenant(&TenantId::parse("b").expect("an id")).await.expect("deleted");
    store.execute("update tenant set gbp_account = null, gbp_location = null where id = 'c'").await;
    store.work_off(1).await;

    assert_eq!(store.runs_of(batch).await.into_keys().collect::<Vec<_>>(), ["a"]);
    let counts = store.get_batch(batch).await.counts;
    assert_eq!((counts.queued, counts.skipped, counts.pending, sum(counts)), (1, 2, 0, 3));
}

#[tokio::test]
async fn another_number_than_the_confirmed_one_is_refused_and_leaves_nothing() {
    let store = store_with(&["a", "b", "c"]).await;
    let batch = NewBatch { request_id: Some("r".to_owned()), ..new_batch(EVERYBODY, 2) };
    let error = store.accept_batch(at(0), &batch).await.expect_err("there are three");
    assert_eq!((error.reason(), error.metadata()["expected"].as_str()), ("CONFIRMATION_MISMATCH", "3"));
    let left = "select (select count(*) from batch) + (select count(*) from batch_expansion) + (select count(*) from idempotency_key)
                     + (select count(*) from batch_tenant_page)";
    assert_eq!(sqlx::query_scalar::<_, i64>(left).fetch_one(&store.pool).await.expect("counted"), 0);
    let right = NewBatch { confirmed: Some(3), ..batch };
    assert!(store.accept_batch(at(0), &right).await.expect("accepted").1);
}

#[tokio::test]
async fn a_flag_that_is_switched_off_in_the_middle_skips_the_rest_by_name() {
    let store = store_with(&["a", "b", "c"]).await;
    let batch = store.batch_of(EVERYBODY, 3).await;
    store.work(chunk(1)).await.expect("one");
    let off = |_: &TenantId, _: Option<&OrganizationId>| {
        let (reason, message) = (SkipReason::FeatureDisabled, "off".to_owned());
        Some(Skip { reason, message, metadata: BTreeMap::new() })
    };
    let worked = store.process_batch_chunk(at(1), chunk(99), off).await.expect("worked").expect("the rest");
    assert!(worked.is_done);
    let runs = store.runs_of(batch).await;
    assert_eq!(runs["a"].0, "queued");
    assert!(["b", "c"].iter().all(|tenant| runs[*tenant].1.as_deref() == Some("FEATURE_DISABLED")), "{runs:?}");
    store.end_all().await;
    let ended = store.get_batch(batch).await;
    assert_eq!((ended.state, ended.counts.succeeded, ended.counts.skipped), (BatchState::Completed, 1, 2));
}

#[tokio::test]
async fn cancelled_in_the_middle_it_makes_nothing_more_and_what_has_not_begun_is_cancelled_in_chunks() {
    let store = store_with(&["a", "b", "c", "d", "e"]).await;
    let batch = store.batch_of(EVERYBODY, 5).await;
    store.work(chunk(4)).await.expect("four");
    let running = store.claim(at(2), 1, LEASE).await.expect("claimed").remove(0);
    let bystander = store.accept(at(2), &new_run("e", REAL)).await.expect("accepted").run;

    assert!(store.cancel_batch(at(3), batch).await.expect("cancelled"));
    assert_eq!(store.get_batch(batch).await.state, BatchState::Cancelling);
    let first = store.work(chunk(2)).await.expect("two");
    assert_eq!((first.changed.len(), first.cancelling, first.is_done), (2, vec![running.run.id], false));
    assert!(store.work(chunk(2)).await.expect("the others").is_done);
    assert_eq!(store.work(chunk(2)).await, None);
    let state = store.get_batch(batch).await;
    assert_eq!((state.state, state.counts.running, state.counts.cancelled), (BatchState::Cancelling, 1, 4));

    let (held, result) = (held(&running), RunResult::Cancelled);
    assert!(store.finish(at(4), held, 1, &result, &AttemptProgress::default()).await.expect("ended"));
    let ended = store.get_batch(batch).await;
    assert_eq!((ended.state, ended.counts.cancelled, sum(ended.counts)), (BatchState::Cancelled, 5, 5));
    assert_eq!(store.get(bystander.id).await, bystander, "nobody else's run");
    assert!(!store.cancel_batch(at(5), batch).await.expect("asked"), "it is over");
}

#[tokio::test]
async fn what_is_left_to_do_of_a_cancelled_batch_that_is_over_changes_it_no_more() {
    let store = store_with(&["a"]).await;
    let batch = store.batch_of(EVERYBODY, 1).await;
    store.work_off(99).await;
    let running = store.claim(at(2), 1, LEASE).await.expect("claimed").remove(0);
    assert!(store.cancel_batch(at(3), batch).await.expect("cancelled"));
    // Its last run ends before anybody has told it.
    let ended = store.finish(at(4), held(&running), 1, &RunResult::Succeeded, &AttemptProgress::default()).await;
    assert!(ended.expect("ended"));
    let over = store.get_batch(batch).await;
    assert_eq!((over.state, over.ended_at), (BatchState::Cancelled, Some(time(4))));

    let later =
        store.process_batch_chunk(at(9), chunk(99), |_, _| None).await.expect("worked").expect("something to do");
    assert!(later.is_done);
    assert_eq!(store.get_batch(batch).await, over);
}

#[tokio::test]
async fn a_request_id_belongs_to_a_batch_or_to_a_run() {
    let store = store_with(&["a"]).await;
    let with_id = |id: &str| NewBatch { request_id: Some(id.to_owned()), ..new_batch(EVERYBODY, 1) };
    let first = store.accept_batch(at(0), &with_id("one")).await.expect("accepted");
    let again = store.accept_batch(at(0), &with_id("one")).await.expect("repeated");
    assert_eq!((first.1, again.1, &again.0), (true, false, &first.0));

    let mut run = new_run("a", REAL);
    run.request_id = Some("one".to_owned());
    assert_eq!(shape(&store.accept(at(0), &run).await), Err("REQUEST_ID_REUSED"));
    let quick = store.accept_all(at(0), std::slice::from_ref(&run)).await.expect("answered").remove(0);
    assert_eq!(shape(&quick.expect("no race")), Err("REQUEST_ID_REUSED"));

    run.request_id = Some("two".to_owned());
    store.accept(at(0), &run).await.expect("accepted");
    let error = store.accept_batch(at(0), &with_id("two")).await.expect_err("a run's");
    assert_eq!(error.reason(), "REQUEST_ID_REUSED");
    let other = NewBatch { kind: RunKind { dry_run: DRY, ..with_id("one").kind }, ..with_id("one") };
    assert_eq!(store.accept_batch(at(0), &other).await.expect_err("other arguments").reason(), "REQUEST_ID_REUSED");
}

#[tokio::test]
async fn as_many_runs_get_through_to_a_write_as_the_guard_allows_however_many_ask_at_once() {
    let store = store_with(&[]).await;
    let target = store.chain("chain", 20).await;
    let batch = store.batch_of(target, 20).await;
    store.work_off(99).await;
    let claimed = store.claim(at(2), 99, LEASE).await.expect("claimed");

    let asking = claimed.iter().map(|claimed| store.reserve_batch_write(at(3), held(claimed), false, false));
    let places = futures::future::join_all(asking).await;
    let taken: Vec<bool> = places.into_iter().map(|place| place.expect("asked") == BatchReservation::Granted).collect();
    assert_eq!(taken.iter().filter(|taken| **taken).count(), 4, "20 % of 20");
    let (winner, loser) = (taken.iter().position(|t| *t), taken.iter().position(|t| !*t));
    let (winner, loser) = (held(&claimed[winner.expect("one")]), held(&claimed[loser.expect("one")]));
    let place = async |held, primary| store.reserve_batch_write(at(3), held, primary, false).await.expect("asked");
    assert_eq!(place(winner, false).await, BatchReservation::Granted, "a later attempt counts no more");
    assert_eq!(place(loser, false).await, BatchReservation::Refused(FullGuard::Rule(BatchGuardRule::Tenants)));
    let elsewhere = category_mirror::store::LeaseKey { fencing_token: loser.fencing_token + 1, ..loser };
    assert_eq!(place(elsewhere, false).await, BatchReservation::LeaseLost);

    store.execute("update batch set max_changes = null").await;
    assert_eq!(place(loser, true).await, BatchReservation::Granted, "one of 20");
    let next = claimed.iter().map(held).zip(&taken).find(|(held, taken)| !**taken && *held != loser);
    assert_eq!(
        place(next.expect("one").0, true).await,
        BatchReservation::Refused(FullGuard::Rule(BatchGuardRule::Primary)),
        "two of 20"
    );
    assert_eq!(
        place(winner, true).await,
        BatchReservation::Refused(FullGuard::Rule(BatchGuardRule::Primary)),
        "nor does a later attempt that would now change one"
    );
    let verdicts = store.get_batch(batch).await.verdicts;
    assert_eq!(verdicts.iter().map(|verdict| verdict.reserved).collect::<Vec<_>>(), [5, 1]);
}

/// As many runs as were confirmed may override a guard, and these and the others keep to the batch's own limits.
#[tokio::test]
async fn overridden_guards_take_places_of_their_own() {
    let store = store_with(&["a", "b", "c"]).await;
    let run_overrides = RunOverrides { guards: [GuardRule::Removals].into(), limit: Some(1) };
    let batch = NewBatch { run_overrides, reason: "seen".to_owned(), ..new_batch(EVERYBODY, 3) };
    let batch = store.accept_batch(at(0), &batch).await.expect("accepted").0.id;
    store.work_off(10).await;
    let claimed = store.claim(at(2), 3, LEASE).await.expect("claimed");
    for run in &claimed {
        let options = RunOptions {
            overridden_guards: [GuardRule::Removals].into(),
            override_reason: Some("seen".to_owned()),
            ..RunOptions::default()
        };
        assert_eq!(run.run.options, options);
    }
    let place =
        async |held, overridden| store.reserve_batch_write(at(3), held, false, overridden).await.expect("asked");
    let [first, second, third] = [0, 1, 2].map(|n| held(&claimed[n]));
    assert_eq!(place(first, true).await, BatchReservation::Granted);
    assert_eq!(place(first, true).await, BatchReservation::Granted, "once for all attempts");
    assert_eq!(place(second, true).await, BatchReservation::Refused(FullGuard::Overrides));
    assert_eq!(place(third, false).await, BatchReservation::Granted);
    let batch = store.get_batch(batch).await;
    assert_eq!((batch.max_overrides, batch.overrides_reserved, batch.verdicts[0].reserved), (Some(1), 1, 2));
    assert_eq!(batch.overridden_guards, ["removals"]);
}

/// A batch of everybody whose own guards are overridden, and a guard of its runs for one of them.
fn overriding_batch(tenants: i64) -> NewBatch {
    NewBatch {
        overrides: vec![BatchGuardRule::Tenants, BatchGuardRule::Primary],
        run_overrides: RunOverrides { guards: [GuardRule::Removals].into(), limit: Some(1) },
        reason: "seen".to_owned(),
        ..new_batch(EVERYBODY, tenants)
    }
}

#[tokio::test]
async fn what_a_batch_may_refuse_for_want_of_a_confirmed_override_is_not_joined_by_another_batch() {
    let store = store_with(&["a", "b"]).await;
    store.prepare_history(None).await.expect("what is skipped has a day");
    let (first, _) = store.accept_batch(at(0), &overriding_batch(2)).await.expect("accepted");
    store.work_off(9).await;
    let (second, _) = store.accept_batch(at(0), &overriding_batch(2)).await.expect("accepted");
    store.work_off(9).await;
    let reasons: Vec<Option<String>> = store.runs_of(second.id).await.into_values().map(|(_, reason)| reason).collect();
    let claimed = store.claim(at(2), 9, LEASE).await.expect("claimed");
    let mut places = Vec::new();
    for run in &claimed {
        assert_eq!(run.run.batch, Some(first.id));
        places.push(store.reserve_batch_write(at(3), held(run), false, true).await.expect("asked"));
    }
    assert_eq!(
        places,
        [BatchReservation::Granted, BatchReservation::Refused(FullGuard::Overrides)],
        "one of them is stopped by its batch"
    );
    assert_eq!(reasons, [Some("RUN_IN_PROGRESS".to_owned()), Some("RUN_IN_PROGRESS".to_owned())]);
}

#[tokio::test]
async fn a_later_attempt_takes_the_places_that_the_first_one_did_not_need() {
    let store = store_with(&["a"]).await;
    let new = NewBatch { overrides: vec![], ..overriding_batch(1) };
    let (batch, _) = store.accept_batch(at(0), &new).await.expect("accepted");
    store.work_off(9).await;
    store.execute("update batch set max_changes = 1, max_primary_changes = 0").await;
    let run = store.claim_one(2).await;
    let place = async |primary, overridden| {
        store.reserve_batch_write(at(3), held(&run), primary, overridden).await.expect("asked")
    };
    assert_eq!(place(false, false).await, BatchReservation::Granted);
    // Its write was refused for now, and what is at Google has changed: the next attempt would do something else.
    assert_eq!(
        place(true, false).await,
        BatchReservation::Refused(FullGuard::Rule(BatchGuardRule::Primary)),
        "no other primary category is allowed"
    );
    assert_eq!(place(false, true).await, BatchReservation::Granted);
    assert_eq!(place(false, false).await, BatchReservation::Granted, "it has its places");
    assert_eq!(place(false, true).await, BatchReservation::Granted, "it has its places");
    // All of them are full by now, and only the one that it lacks is why it is refused.
    assert_eq!(place(true, true).await, BatchReservation::Refused(FullGuard::Rule(BatchGuardRule::Primary)));
    let batch = store.get_batch(batch.id).await;
    let batch_write_reserved: Vec<i64> = batch.verdicts.iter().map(|verdict| verdict.reserved).collect();
    assert_eq!((batch_write_reserved, batch.overrides_reserved), (vec![1, 0], 1));
}
