//! Batches of many callers: what one of them has waiting keeps nobody else waiting for long.

use category_mirror::{
    domain::{BatchId, RunState, TenantId},
    store::{BatchTarget, ClaimLimits, NewBatch},
};

use super::{
    LEASE, TestStore, at,
    batches::{EVERYBODY, chunk, new_batch},
    store_with,
};

/// Batches that one caller has.
const MANY: usize = 40;
/// How many turns of a round a caller has, however many batches.
const TURNS: usize = 4;

/// Accepts a batch of one tenant for each of `many-0` and so on, all of one caller.
async fn many_batches(store: &TestStore) -> Vec<BatchId> {
    store.chain("many", MANY).await;
    let mut batches = Vec::new();
    for n in 0..MANY {
        let tenant = TenantId::parse(&format!("many-{n}")).expect("an id");
        let target = BatchTarget { organization: None, visible_tenants: Some(vec![tenant]) };
        let new = NewBatch { caller: "many".to_owned(), ..new_batch(target, 1) };
        batches.push(store.accept_batch(at(0), &new).await.expect("accepted").0.id);
    }
    batches
}

async fn batch_of_another(store: &TestStore, tenants: usize) -> BatchId {
    let target = store.chain("few", tenants).await;
    let new = NewBatch { caller: "few".to_owned(), ..new_batch(target, i64::try_from(tenants).expect("few")) };
    store.accept_batch(at(0), &new).await.expect("accepted").0.id
}

#[tokio::test]
async fn a_caller_of_many_batches_does_not_hold_up_the_making_of_anothers_runs() {
    let store = store_with(&[]).await;
    many_batches(&store).await;
    let another = batch_of_another(&store, 3).await;
    let mut worked_on = Vec::new();
    while let Some(worked) = store.work(chunk(1)).await {
        worked_on.push(worked.batch);
    }
    assert_eq!(worked_on.len(), MANY + 3, "each tenant is a chunk");
    let places: Vec<usize> = (0..worked_on.len()).filter(|place| worked_on[*place] == another).collect();
    for (round, place) in places.into_iter().enumerate() {
        assert!(place <= (round + 1) * (TURNS + 1), "its chunk {round} came after {place} others");
    }
}

#[tokio::test]
async fn a_caller_of_many_batches_does_not_hold_up_the_execution_of_anothers_runs() {
    let store = store_with(&[]).await;
    many_batches(&store).await;
    store.work_off(99).await;
    batch_of_another(&store, 5).await;
    while store.process_batch_chunk(at(2), chunk(99), |_, _| None).await.expect("worked").is_some() {}

    let claimed = store.store.claim(at(9), ClaimLimits::of(99), LEASE).await.expect("claimed");
    assert_eq!(claimed.len(), MANY + 5);
    let is_anothers = |tenant: &str| tenant.starts_with("few-");
    let places =
        claimed.iter().enumerate().filter(|(_, it)| is_anothers(it.run.tenant.as_str())).map(|(place, _)| place);
    for (round, place) in places.enumerate() {
        assert!(place < (round + 2) * (TURNS + 1), "its run {round} comes after {place} others");
    }
}

#[tokio::test]
async fn a_batch_that_had_to_wait_for_its_runs_does_not_make_up_for_the_turns_that_it_missed() {
    let store = store_with(&[]).await;
    let (waiting, other) = (store.chain("waiting", 9).await, store.chain("other", 9).await);
    let waiting = store.batch_of(waiting, 9).await;
    let chunk = category_mirror::store::ChunkLimits { size: 1, live: 1 };
    assert_eq!(store.work(chunk).await.expect("its first run").batch, waiting);
    let other = NewBatch { caller: "other".to_owned(), ..new_batch(other, 9) };
    let other = store.accept_batch(at(0), &other).await.expect("accepted").0.id;
    store.execute("update batch set runs_created = runs_created").await;
    // The other one goes on by itself: its runs end at once.
    for _ in 0..4 {
        assert_eq!(store.work(chunk).await.expect("a chunk").batch, other);
        store.execute("delete from run where fairness_key is not null and tenant_id like 'other-%'").await;
        store.execute("update batch set succeeded = runs_created where organization_id = 'other'").await;
    }
    // From now on both may.
    let mut worked_on = Vec::new();
    for _ in 0..4 {
        store.execute("update batch set succeeded = runs_created").await;
        worked_on.push(store.work(chunk).await.expect("a chunk").batch);
    }
    assert_eq!(worked_on.iter().filter(|batch| **batch == waiting).count(), 2, "{worked_on:?}");
}

#[tokio::test]
async fn a_cancellation_is_not_behind_what_its_caller_has_waiting() {
    let store = store_with(&[]).await;
    let batches = many_batches(&store).await;
    let last = batches[MANY - 1];
    assert!(store.cancel_batch(at(1), last).await.expect("cancelled"));
    let worked = store.work(chunk(99)).await.expect("something to do");
    assert_eq!((worked.batch, worked.is_done), (last, true));
    assert_eq!(store.get_batch(last).await.counts.cancelled, 1);
    // Nor are those who cancel many before everybody else.
    for batch in &batches[..MANY - 1] {
        assert!(store.cancel_batch(at(1), *batch).await.expect("cancelled"));
    }
    let another = batch_of_another(&store, 1).await;
    let mut before = 0;
    while store.work(chunk(99)).await.expect("something to do").batch != another {
        before += 1;
    }
    assert!(before <= 2 * (TURNS + 1), "{before}");
}

#[tokio::test]
async fn a_caller_has_so_many_batches_that_have_not_ended_and_no_more() {
    let store = store_with(&["a"]).await;
    let new = |caller: &str, id: &str| NewBatch {
        max_live: 2,
        caller: caller.to_owned(),
        request_id: Some(id.to_owned()),
        ..new_batch(EVERYBODY, 1)
    };
    let first = store.accept_batch(at(0), &new("me", "one")).await.expect("accepted").0;
    store.accept_batch(at(0), &new("me", "two")).await.expect("accepted");
    let refused = store.accept_batch(at(0), &new("me", "three")).await.expect_err("the third");
    assert_eq!((refused.reason(), refused.metadata()["limit"].as_str()), ("RATE_LIMITED", "2"));
    assert!(refused.to_string().contains("MAX_BATCHES_PER_SUBJECT"), "{refused}");
    assert_eq!(store.accept_batch(at(0), &new("me", "one")).await.expect("its first answer").0.id, first.id);
    store.accept_batch(at(0), &new("you", "one")).await.expect("a share of their own");

    store.prepare_history(None).await.expect("what is skipped has a day");
    store.work_off(9).await;
    for claimed in store.claim(at(2), 9, LEASE).await.expect("claimed") {
        assert_eq!(claimed.run.state, RunState::Running);
        let (held, result) = (super::held(&claimed), category_mirror::domain::RunResult::Cancelled);
        assert!(
            store
                .finish(at(3), held, 1, &result, &category_mirror::store::AttemptProgress::default())
                .await
                .expect("ended")
        );
    }
    // Those that met the live run have ended, too.
    store.accept_batch(at(4), &new("me", "three")).await.expect("there is room again");
}
