//! What an attempt writes into its run, and what a run allows that is over.

use category_mirror::{
    domain::{
        AttemptState, Change, ChangeCounts, Failure, FailureReason, RunError, RunResult, RunState, Skip, SkipReason,
        TenantChange, diff,
    },
    store::{AttemptProgress, BeginWriteResult, LeaseKey},
};

use super::{DRY, LEASE, NOBODY, REAL, about_to_write, at, failed_attempt, held, plan, set, store_with, time};

#[tokio::test]
async fn begin_write_records_plan_and_intent_and_renews_the_lease() {
    let store = store_with(&["a"]).await;
    let claimed = store.claimed(0, "a", REAL).await;
    let progress = about_to_write(&["x"], &["y"]);

    assert_eq!(
        store.begin_write(at(29), held(&claimed), &progress, LEASE).await.expect("asked"),
        BeginWriteResult::Granted
    );

    let run = store.get(claimed.run.id).await;
    assert_eq!((run.plan, run.revision), (progress.plan, 3));
    assert_eq!(store.reclaim_expired(at(59), 10, 20).await.expect("rescued"), [], "renewed");
    assert_eq!(store.reclaim_expired(at(60), 10, 20).await.expect("rescued").len(), 1);
    assert_eq!(store.claim_one(61).await.run.write_intent, progress.write_intent, "the next attempt knows of it");
}

#[tokio::test]
async fn begin_write_is_refused_after_the_lease_and_after_a_cancellation() {
    let store = store_with(&["a", "b"]).await;
    let progress = about_to_write(&["x"], &["y"]);
    let late = store.claimed(0, "a", REAL).await;
    let cancelled = store.claimed(0, "b", REAL).await;
    store.cancel(at(1), cancelled.run.id).await.expect("marked");

    // Nobody has taken the run over yet. Somebody may at any moment.
    assert_eq!(
        store.begin_write(at(30), held(&late), &progress, LEASE).await.expect("asked"),
        BeginWriteResult::LeaseLost
    );
    assert_eq!(
        store.begin_write(at(2), held(&cancelled), &progress, LEASE).await.expect("asked"),
        BeginWriteResult::Cancelled
    );
    for run in [late.run.id, cancelled.run.id] {
        assert_eq!(store.get(run).await.plan, None);
    }
    store.release(&[held(&cancelled)]).await.expect("handed back");
    assert_eq!(store.claim_one(3).await.run.write_intent, None);
}

#[tokio::test]
async fn a_retry_waits_and_keeps_what_is_known() {
    let store = store_with(&["a"]).await;
    let claimed = store.claimed(0, "a", REAL).await;
    let progress = about_to_write(&["x"], &["y"]);

    let delay = std::time::Duration::from_millis(1500);
    assert!(store.retry(at(10), held(&claimed), delay, true, &failed_attempt(1), &progress).await.expect("queued"));

    let run = store.get(claimed.run.id).await;
    assert_eq!((run.state, run.attempt, run.uncounted_attempts), (RunState::Queued, 1, 0));
    assert_eq!(run.next_attempt_at, Some(time(10) + delay));
    assert_eq!(run.reason.as_deref(), Some("UPSTREAM_UNAVAILABLE"));
    assert_eq!(run.error, Some(failed_attempt(1)));
    assert!(store.claim(at(11), 1, LEASE).await.expect("looked").is_empty());
    let again = store.claim_one(12).await;
    assert_eq!((again.run.plan, again.run.write_intent), (progress.plan, progress.write_intent));
}

/// A tenant keeps its location while a write there is unsettled, and its operator is told what would settle it.
#[tokio::test]
async fn a_move_that_waits_for_credentials_says_that_new_ones_help() {
    let store = store_with(&["a"]).await;
    let claimed = store.claimed(0, "a", REAL).await;
    let progress = about_to_write(&["x"], &["y"]);
    let delay = std::time::Duration::from_secs(60);
    assert!(store.retry(at(1), held(&claimed), delay, true, &failed_attempt(1), &progress).await.expect("queued"));
    let away = TenantChange { account_and_location: Some(None), ..TenantChange::default() };
    let error = store.update_tenant(at(2), &claimed.run.tenant, &away).await.expect_err("unsettled");
    assert_eq!((error.reason(), &error.metadata()["run"]), ("RUN_IN_PROGRESS", &claimed.run.resource_name()));
    assert!(error.to_string().contains("retry once the run has ended"), "{error}");

    let again = store.claim_one(61).await;
    let rejected = RunError::new(Failure::permanent(FailureReason::CredentialsRejected, "invalid_grant"), 2);
    assert!(store.retry(at(62), held(&again), delay, true, &rejected, &progress).await.expect("queued"));
    let error = store.update_tenant(at(63), &claimed.run.tenant, &away).await.expect_err("unsettled");
    assert_eq!((error.reason(), &error.metadata()["run"]), ("RUN_IN_PROGRESS", &claimed.run.resource_name()));
    for part in ["24 hours", "SetCredentials"] {
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[tokio::test]
async fn an_old_fence_changes_nothing() {
    let store = store_with(&["a"]).await;
    let old = held(&store.claimed(0, "a", REAL).await);
    store.reclaim_expired(at(31), 10, 20).await.expect("rescued");
    let new = store.claim_one(32).await;
    let before = store.get(old.id).await;

    let progress = AttemptProgress { write_intent: None, ..about_to_write(&["x"], &["y"]) };
    assert_eq!(store.begin_write(at(33), old, &progress, LEASE).await.expect("asked"), BeginWriteResult::LeaseLost);
    assert!(!store.finish(at(33), old, 1, &RunResult::Succeeded, &progress).await.expect("answered"));
    assert!(!store.retry(at(33), old, LEASE, true, &failed_attempt(1), &progress).await.expect("answered"));
    assert_eq!(store.release(&[old]).await.expect("answered"), NOBODY);
    assert_eq!(store.renew_leases(at(33), &[old], LEASE).await.expect("answered"), []);
    // Nor does one that nobody was ever given.
    let invented = LeaseKey { fencing_token: 99, ..old };
    assert!(!store.finish(at(33), invented, 1, &RunResult::Succeeded, &progress).await.expect("answered"));

    assert_eq!(store.get(old.id).await, before);
    assert!(store.finish(at(34), held(&new), 1, &RunResult::Succeeded, &progress).await.expect("finished"));
}

#[tokio::test]
async fn a_real_run_counts_what_it_wrote_and_a_dry_one_what_it_planned() {
    let store = store_with(&["a", "b"]).await;
    let written = AttemptProgress {
        plan: Some(plan(&["x"], &["y", "z"])),
        written: diff(Some(&set(&["x", "w"])), &set(&["x"])).into_iter().map(Change::recorded).collect(),
        ..AttemptProgress::default()
    };
    let real = store.claimed(0, "a", REAL).await;
    assert!(store.finish(at(1), held(&real), 1, &RunResult::Succeeded, &written).await.expect("finished"));
    let dry_runs = store.claimed(0, "b", DRY).await;
    let planned = AttemptProgress { written: vec![], ..written.clone() };
    assert!(store.finish(at(1), held(&dry_runs), 1, &RunResult::Succeeded, &planned).await.expect("finished"));

    let real = store.get(real.run.id).await;
    assert_eq!(real.counts, ChangeCounts { created: 0, updated: 0, deleted: 1 });
    assert_eq!((real.written, real.ended_at), (written.written, Some(time(1))));
    assert_eq!(store.get(dry_runs.run.id).await.counts, ChangeCounts { created: 1, updated: 1, deleted: 0 });
}

#[tokio::test]
async fn each_attempt_is_told_of_with_what_it_met() {
    let store = store_with(&["a"]).await;
    let shown = async |run| -> Vec<_> {
        let attempts = store.get(run).await.all_attempts();
        let seconds = |at: Option<chrono::DateTime<chrono::Utc>>| at.map(|at| (at - time(0)).num_seconds());
        attempts
            .into_iter()
            .map(|a| (a.claim_number, seconds(a.started_at), seconds(a.ended_at), a.state, a.error))
            .collect()
    };
    let first = store.claimed(0, "a", REAL).await;
    let run = first.run.id;
    let mut expected = vec![(1, Some(0), None, AttemptState::Running, None)];
    assert_eq!(shown(run).await, expected);

    let second = std::time::Duration::from_secs(1);
    store
        .retry(at(1), held(&first), second, true, &failed_attempt(1), &AttemptProgress::default())
        .await
        .expect("queued");
    expected[0] = (1, Some(0), Some(1), AttemptState::Failed, Some(failed_attempt(1)));
    assert_eq!(shown(run).await, expected);
    store.claim_one(3).await;
    store.reclaim_expired(at(40), 10, 20).await.expect("rescued");
    expected.push((2, Some(3), Some(40), AttemptState::LeaseExpired, None));
    assert_eq!(shown(run).await, expected);
    let third = store.claim_one(41).await;
    store.release(&[held(&third)]).await.expect("handed back");
    let fourth = store.claim_one(42).await;
    let failure = Failure::permanent(FailureReason::LocationNotFound, "locations/1 is not there");
    let end = RunResult::Failed(failure);
    assert!(store.finish(at(43), held(&fourth), 2, &end, &AttemptProgress::default()).await.expect("finished"));

    let ended = shown(run).await;
    assert_eq!(ended[..2], expected);
    assert_eq!((ended[2].0, ended[2].1, ended[2].3), (3, Some(41), AttemptState::Released));
    let last = (4, Some(42), Some(43), AttemptState::Failed, store.get(run).await.error);
    assert_eq!(ended[3..], [last]);

    // One that is cancelled while it waits for its next attempt had none more.
    let again = store.claimed(50, "a", REAL).await;
    store
        .retry(at(51), held(&again), second, true, &failed_attempt(1), &AttemptProgress::default())
        .await
        .expect("queued");
    store.cancel(at(51), again.run.id).await.expect("cancelled");
    assert_eq!(shown(again.run.id).await.len(), 1);
}

fn skip(reason: SkipReason) -> Skip {
    Skip { reason, message: "not now".to_owned(), metadata: [("flag".to_owned(), "FF_X".to_owned())].into() }
}

#[tokio::test]
async fn each_end_says_why() {
    let store = store_with(&["a"]).await;
    let failure = Failure::permanent(FailureReason::LocationNotFound, "locations/1 is not there");
    for (result, state, reason) in [
        (RunResult::Succeeded, RunState::Succeeded, None),
        (RunResult::Cancelled, RunState::Cancelled, None),
        (RunResult::Skipped(skip(SkipReason::Cooldown)), RunState::Skipped, Some("COOLDOWN")),
        (RunResult::Failed(failure), RunState::Failed, Some("LOCATION_NOT_FOUND")),
    ] {
        let claimed = store.claimed(0, "a", REAL).await;
        // An earlier attempt's reason must not stay behind.
        let queued =
            store.retry(at(1), held(&claimed), LEASE, true, &failed_attempt(1), &AttemptProgress::default()).await;
        assert!(queued.expect("queued"));
        let again = store.claim_one(40).await;
        assert!(store.finish(at(41), held(&again), 2, &result, &AttemptProgress::default()).await.expect("finished"));

        let run = store.get(claimed.run.id).await;
        assert_eq!((run.state, run.reason.as_deref()), (state, reason));
        let error = run.error.map(|error| (error.reason, error.attempt));
        assert_eq!(error, reason.map(|reason| (reason.to_owned(), 2)));
    }
}

#[tokio::test]
async fn a_queued_run_is_cancelled_at_once_unless_a_write_is_unsettled() {
    let store = store_with(&["a", "b"]).await;
    let fresh = store.accepted(0, "a").await;
    let run = store.cancel(at(5), fresh.id).await.expect("cancelled").expect("live");
    assert_eq!((run.state, run.ended_at), (RunState::Cancelled, Some(time(5))));
    assert!(store.cancel(at(6), fresh.id).await.expect("answered").is_none(), "it is over");

    let claimed = store.claimed(0, "b", REAL).await;
    let progress = about_to_write(&["x"], &["y"]);
    let hour = std::time::Duration::from_secs(3600);
    assert!(store.retry(at(1), held(&claimed), hour, true, &failed_attempt(1), &progress).await.expect("queued"));
    let run = store.cancel(at(5), claimed.run.id).await.expect("marked").expect("live");
    assert_eq!((run.state, run.cancel_requested), (RunState::Queued, true));
    assert_eq!(run.next_attempt_at, None, "whoever settles it need not wait for the backoff");
    assert!(store.claim_one(5).await.run.cancel_requested);
}

#[tokio::test]
async fn a_run_that_is_over_never_changes() {
    let store = store_with(&["a"]).await;
    for result in [RunResult::Succeeded, RunResult::Cancelled, RunResult::Skipped(skip(SkipReason::FeatureDisabled))] {
        let claimed = store.claimed(0, "a", REAL).await;
        let progress = AttemptProgress::default();
        assert!(store.finish(at(1), held(&claimed), 1, &result, &progress).await.expect("finished"));
        let before = store.get(claimed.run.id).await;

        // The holder itself, a moment later.
        let held = held(&claimed);
        assert!(!store.finish(at(2), held, 1, &RunResult::Cancelled, &progress).await.expect("answered"));
        assert!(!store.retry(at(2), held, LEASE, true, &failed_attempt(1), &progress).await.expect("answered"));
        assert_eq!(
            store.begin_write(at(2), held, &progress, LEASE).await.expect("answered"),
            BeginWriteResult::LeaseLost
        );
        assert_eq!(store.renew_leases(at(2), &[held], LEASE).await.expect("answered"), []);
        assert_eq!(store.release(&[held]).await.expect("answered"), NOBODY);
        assert_eq!(store.reclaim_expired(at(9999), 10, 20).await.expect("answered"), []);
        assert!(store.claim(at(9999), 10, LEASE).await.expect("answered").is_empty());
        assert!(store.cancel(at(2), held.id).await.expect("answered").is_none());

        // And whoever goes past the store.
        let refused = sqlx::query("update run_history set caller = caller where id = $1")
            .bind(held.id)
            .execute(&store.pool)
            .await;
        let refused = refused.expect_err("refused");
        let constraint = refused.as_database_error().and_then(|error| error.constraint());
        assert_eq!(constraint, Some("run_terminal_is_final"));
        assert_eq!(store.get(held.id).await, before);
    }
}
