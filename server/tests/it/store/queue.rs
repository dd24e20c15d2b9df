//! Claims, leases, and runs whose holder is gone.

use std::time::Duration;

use category_mirror::{
    domain::{RunId, RunResult, RunState},
    store::{AttemptProgress, BeginWriteResult, ClaimedRun, EnqueuedDue, LeaseStatus, ReclaimedRun},
};
use futures::future::join_all;

use super::{LEASE, NOBODY, REAL, at, failed_attempt, held, store_with, time};

#[tokio::test]
async fn runs_are_claimed_in_the_order_of_the_line_and_none_before_its_time() {
    let store = store_with(&["a", "b", "c"]).await;
    let a = store.accepted(0, "a").await.id;
    let b = store.accepted(1, "b").await.id;
    let c = store.claimed(0, "c", REAL).await;
    assert_eq!(c.run.id, a, "the first in line");
    assert!(
        store
            .retry(at(2), held(&c), LEASE, true, &failed_attempt(1), &AttemptProgress::default())
            .await
            .expect("queued")
    );
    let claim = async |seconds, limit| -> Vec<RunId> {
        let claimed = store.claim(at(seconds), limit, LEASE).await.expect("claimed");
        claimed.iter().map(|claimed| claimed.run.id).collect()
    };

    assert_eq!(claim(31, 1).await, [b]);
    assert_eq!(claim(31, 10).await.len(), 1, "the one of `c`");
    assert_eq!(claim(31, 10).await, NOBODY);
    assert_eq!(claim(32, 10).await, [a]);
    assert_eq!(claim(99, 10).await, NOBODY);
}

#[tokio::test]
async fn a_claim_begins_an_attempt() {
    let store = store_with(&["a"]).await;
    let claimed = store.claimed(3, "a", REAL).await;

    assert_eq!((claimed.fencing_token, claimed.run.attempt, claimed.run.revision), (1, 1, 2));
    assert_eq!(claimed.run.state, RunState::Running);
    assert_eq!(claimed.run.started_at, Some(time(3)));
    assert_eq!(claimed.run.next_attempt_at, None);

    // The next attempt does not begin the run anew.
    assert!(
        store
            .retry(at(4), held(&claimed), LEASE, true, &failed_attempt(1), &AttemptProgress::default())
            .await
            .expect("queued")
    );
    let again = store.claim_one(34).await;
    assert_eq!((again.fencing_token, again.run.attempt, again.run.started_at), (2, 2, Some(time(3))));
}

#[tokio::test]
async fn a_locked_run_is_passed_over_not_waited_for() {
    let store = store_with(&["a", "b"]).await;
    let a = store.accepted(0, "a").await.id;
    let b = store.accepted(1, "b").await.id;
    let mut other = store.pool.begin().await.expect("begun");
    sqlx::query("select 1 from run where id = $1 for update").bind(a).execute(&mut *other).await.expect("locked");

    assert_eq!(store.claim_one(2).await.run.id, b);

    other.rollback().await.expect("unlocked");
    assert_eq!(store.claim_one(2).await.run.id, a);
}

#[tokio::test]
async fn claimers_at_once_share_the_runs() {
    let names: Vec<String> = (0..40).map(|n| format!("t{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let store = store_with(&names).await;
    let mut accepted: Vec<RunId> = Vec::new();
    for name in &names {
        accepted.push(store.accepted(0, name).await.id);
    }

    let claims = join_all((0..8).map(|_| store.claim(at(1), 5, LEASE))).await;
    let mut claimed: Vec<RunId> =
        claims.into_iter().flat_map(|claim| claim.expect("claimed")).map(|claimed| claimed.run.id).collect();
    // Where two looked at the same rows, one of them may have gone away with less.
    claimed.extend(store.claim(at(1), 40, LEASE).await.expect("claimed").iter().map(|claimed| claimed.run.id));

    claimed.sort();
    assert_eq!(claimed, accepted);
}

#[tokio::test]
async fn a_heartbeat_renews_tells_of_cancellations_and_leaves_out_the_lost() {
    let store = store_with(&["a", "b", "c"]).await;
    let [a, b, c] =
        [store.claimed(0, "a", REAL).await, store.claimed(0, "b", REAL).await, store.claimed(0, "c", REAL).await];
    store.cancel(at(1), b.run.id).await.expect("cancelled");
    assert_eq!(store.release(&[held(&c)]).await.expect("handed back"), [c.run.id]);
    let c_again = store.claim_one(2).await;
    assert_eq!(c_again.run.id, c.run.id);

    let mut heard = store.renew_leases(at(20), &[held(&a), held(&b), held(&c)], LEASE).await.expect("heard");
    heard.sort();
    assert_eq!(heard, [still(&a, false, true), still(&b, true, true)]);

    // The lease of `c` is the new holder's, who was not asked about.
    let expired = |reclaimed: Vec<ReclaimedRun>| reclaimed.iter().map(|run| run.id).collect::<Vec<_>>();
    assert_eq!(expired(store.reclaim_expired(at(33), 10, 20).await.expect("rescued")), [c.run.id]);
    assert_eq!(store.reclaim_expired(at(50), 10, 20).await.expect("rescued"), [], "a lease lasts to its last moment");
    assert_eq!(expired(store.reclaim_expired(at(51), 10, 20).await.expect("rescued")).len(), 2);
}

#[tokio::test]
async fn only_expired_leases_are_rescued_and_the_attempt_does_not_count() {
    let store = store_with(&["a", "b", "c"]).await;
    let a = store.claimed(0, "a", REAL).await;
    let b = store.claimed(5, "b", REAL).await;
    let c = store.claimed(10, "c", REAL).await;

    let reclaimed = store.reclaim_expired(at(36), 10, 20).await.expect("rescued");
    assert_eq!(reclaimed.iter().map(|run| run.id).collect::<Vec<_>>().len(), 2);
    assert!(reclaimed.iter().all(|run| !run.failed && [a.run.id, b.run.id].contains(&run.id)));

    let run = store.get(a.run.id).await;
    assert_eq!((run.state, run.attempt, run.uncounted_attempts, run.revision), (RunState::Queued, 0, 1, 3));
    assert_eq!(run.next_attempt_at, None, "in line, at once");
    assert_eq!(store.get(c.run.id).await.state, RunState::Running);
    assert_eq!(store.reclaim_expired(at(100), 0, 20).await.expect("rescued"), []);
}

#[tokio::test]
async fn a_run_that_kills_its_holders_comes_to_an_end() {
    let store = store_with(&["a"]).await;
    store.accepted(0, "a").await;
    for crash in 0..3 {
        let claimed = store.claim_one(crash * 100).await;
        let reclaimed = store.reclaim_expired(at(crash * 100 + 50), 10, 2).await.expect("rescued");
        assert_eq!(reclaimed, [ReclaimedRun { id: claimed.run.id, failed: crash == 2 }]);
    }

    let run = store.last_run(&super::id("a"), super::Strategy::PlatformToGbp).await.expect("read").expect("there");
    assert_eq!((run.state, run.reason.as_deref()), (RunState::Failed, Some("INTERNAL")));
    assert_eq!((run.attempt, run.uncounted_attempts, run.ended_at), (0, 3, Some(time(250))));
    let error = run.error.expect("an error");
    assert_eq!(error.attempt, 1, "the one that was under way");
    assert!(error.message.contains("3 times"), "{}", error.message);
    assert_eq!(store.reclaim_expired(at(9999), 10, 2).await.expect("rescued"), []);
}

#[tokio::test]
async fn what_is_handed_back_is_due_at_once_and_its_holder_out() {
    let store = store_with(&["a", "b"]).await;
    let a = store.claimed(0, "a", REAL).await;
    let b = store.claimed(0, "b", REAL).await;
    let done = store.finish(at(1), held(&b), 1, &RunResult::Succeeded, &AttemptProgress::default()).await;
    assert!(done.expect("finished"));

    assert_eq!(store.release(&[held(&a), held(&b)]).await.expect("handed back"), [a.run.id]);
    assert_eq!(store.release(&[held(&a)]).await.expect("nothing"), NOBODY);
    assert_eq!(store.release(&[]).await.expect("nothing"), NOBODY);

    let run = store.get(a.run.id).await;
    assert_eq!((run.state, run.attempt, run.uncounted_attempts, run.next_attempt_at), (RunState::Queued, 0, 1, None));
    let begun = store.begin_write(at(2), held(&a), &AttemptProgress::default(), LEASE).await.expect("answered");
    assert_eq!(begun, BeginWriteResult::LeaseLost);
}

#[tokio::test]
async fn the_next_time_is_that_of_runs_that_wait_for_one() {
    let store = store_with(&["a", "b"]).await;
    let next = async |seconds| store.enqueue_due(at(seconds), 10).await.expect("promoted");
    assert_eq!(next(0).await, EnqueuedDue { runs: 0, next: None });
    let claimed = store.claimed(0, "a", REAL).await;
    store.accepted(0, "b").await;
    // The lease of `a` has long expired, `b` is in line, and still nobody waits for a time: who waited for it would spin.
    assert_eq!(next(500).await, EnqueuedDue { runs: 0, next: None });
    let wait = Duration::from_secs(60);
    assert!(
        store
            .retry(at(10), held(&claimed), wait, true, &failed_attempt(1), &AttemptProgress::default())
            .await
            .expect("queued")
    );
    assert_eq!(next(30).await, EnqueuedDue { runs: 0, next: Some(Duration::from_secs(40)) });
    assert_eq!(store.get(claimed.run.id).await.next_attempt_at, Some(time(70)));
    assert_eq!(next(70).await, EnqueuedDue { runs: 1, next: None });
    assert_eq!(store.get(claimed.run.id).await.next_attempt_at, None, "in line");
}

#[tokio::test]
async fn an_attempt_that_is_not_to_count_is_handed_back() {
    let store = store_with(&["a"]).await;
    let claimed = store.claimed(0, "a", REAL).await;
    let progress = AttemptProgress::default();
    assert!(store.retry(at(1), held(&claimed), LEASE, false, &failed_attempt(1), &progress).await.expect("queued"));
    let run = store.get(claimed.run.id).await;
    assert_eq!((run.state, run.attempt, run.uncounted_attempts), (RunState::Queued, 0, 1));
    assert_eq!(run.next_attempt_at, Some(time(1) + LEASE));
    assert_eq!(run.reason.as_deref(), Some("UPSTREAM_UNAVAILABLE"), "it says why it waits");
}

#[tokio::test]
async fn a_heartbeat_waits_for_nobody() {
    let store = store_with(&["a", "b"]).await;
    let (a, b) = (store.claimed(0, "a", REAL).await, store.claimed(0, "b", REAL).await);
    let mut other = store.pool.begin().await.expect("begun");
    sqlx::query("select 1 from run where id = $1 for update")
        .bind(a.run.id)
        .execute(&mut *other)
        .await
        .expect("locked");

    let mut heard = store.renew_leases(at(20), &[held(&a), held(&b)], LEASE).await.expect("heard");
    heard.sort();
    assert_eq!(heard, [still(&a, false, false), still(&b, false, true)]);
    assert_eq!(store.release(&[held(&a), held(&b)]).await.expect("handed back"), [b.run.id]);

    other.rollback().await.expect("unlocked");
    assert_eq!(
        store.reclaim_expired(at(31), 10, 20).await.expect("rescued").len(),
        1,
        "a lease that was not renewed ends"
    );
}

fn still(claimed: &ClaimedRun, cancel_requested: bool, renewed: bool) -> LeaseStatus {
    LeaseStatus { id: claimed.run.id, cancel_requested, renewed }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_does_not_hold_up_the_others() {
    let store = store_with(&["a", "b"]).await;
    let a = store.accepted(0, "a").await.id;
    let b = store.accepted(1, "b").await.id;
    store.execute("update run set plan = '{\"changes\": [], \"of\": \"another version\"}' where tenant_id = 'a'").await;

    let claimed = store.claim(at(2), 10, LEASE).await.expect("claimed");
    assert_eq!(claimed.iter().map(|claimed| claimed.run.id).collect::<Vec<_>>(), [b]);
    let reclaimed = store.reclaim_expired(at(60), 10, 20).await.expect("rescued");
    assert!(reclaimed.contains(&ReclaimedRun { id: a, failed: false }), "{reclaimed:?}");
}
