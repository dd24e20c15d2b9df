//! What keeps a write to the location that it is meant for: the tenant's binding, and who may change it while a write is unsettled.

use std::time::Duration;

use category_mirror::{
    domain::{
        AccountId, Decision, DriftCause, GuardRule, LocationId, NewTenant, RunOptions, RunResult, Tenant, TenantChange,
        WriteIntent,
    },
    error::Error,
    store::{AttemptProgress, BeginWriteResult, ClaimedRun, ImportRejection, NewRun},
};

use super::{LEASE, REAL, TestStore, about_to_write, at, held, id, new_run, store_with, tenant, time};

/// What an attempt knows that is about to write to the location that the tenant had when it read.
fn bound(to: &Tenant) -> AttemptProgress {
    let progress = about_to_write(&["x"], &["y"]);
    let write_intent = progress.write_intent.clone().map(|intent| WriteIntent {
        location: to.location.clone(),
        account: to.account.clone(),
        ..intent
    });
    AttemptProgress { write_intent, ..progress }
}

fn move_to(location: Option<&str>) -> TenantChange {
    let account_and_location =
        location.map(|location| (AccountId::parse("1").expect("an id"), LocationId::parse(location).expect("an id")));
    TenantChange { account_and_location: Some(account_and_location), ..TenantChange::default() }
}

async fn begin(store: &TestStore, claimed: &ClaimedRun, progress: &AttemptProgress) -> BeginWriteResult {
    store.begin_write(at(2), held(claimed), progress, LEASE).await.expect("answered")
}

#[tokio::test]
async fn a_write_is_not_begun_at_a_location_that_the_tenant_no_longer_has() {
    for (location, account) in [(Some("elsewhere"), "1"), (None, "1"), (Some("at-a"), "2")] {
        let store = store_with(&["a"]).await;
        let claimed = store.claimed(0, "a", REAL).await;
        let account = AccountId::parse(account).expect("an id");
        let account_and_location = location.map(|location| (account, LocationId::parse(location).expect("an id")));
        let change = TenantChange { account_and_location: Some(account_and_location), ..TenantChange::default() };
        store.update_tenant(at(1), &id("a"), &change).await.expect("nothing is unsettled");
        assert_eq!(begin(&store, &claimed, &bound(&tenant("a"))).await, BeginWriteResult::TargetChanged, "{change:?}");
        let run = store.get(claimed.run.id).await;
        assert!(run.write_intent.is_none() && run.plan.is_none(), "and nothing was recorded: {run:?}");
    }
}

#[tokio::test]
async fn a_tenant_with_an_unsettled_write_keeps_its_location() {
    let store = store_with(&["a"]).await;
    let claimed = store.claimed(0, "a", REAL).await;
    let before = store.tenant(&id("a")).await.expect("there");
    assert_eq!(begin(&store, &claimed, &bound(&before)).await, BeginWriteResult::Granted);
    for location in [Some("elsewhere"), None] {
        let refused = store.update_tenant(at(3), &id("a"), &move_to(location)).await.expect_err("refused");
        let Error::UnsettledWrite { run, .. } = &refused else { panic!("{refused}") };
        assert_eq!(*run, claimed.run.resource_name());
    }
    // What is no move goes through, also where it names the place that the tenant has.
    let renamed = TenantChange { display_name: Some("A".to_owned()), ..move_to(Some("at-a")) };
    assert_eq!(store.update_tenant(at(3), &id("a"), &renamed).await.expect("changed").display_name, "A");

    // An import says so of the one tenant, and takes the others.
    let item = |name: &str, location: &str| {
        let location = Some(LocationId::parse(location).expect("an id"));
        NewTenant { tenant: Tenant { location, ..tenant(name) }, categories: None }
    };
    let imported =
        store.import_tenants(at(3), &[item("a", "elsewhere"), item("b", "at-b")], false).await.expect("done");
    assert_eq!(imported.refused, [(0, vec![ImportRejection::RunInProgress(claimed.run.id)])]);
    assert_eq!(imported.created, 1);

    assert_eq!(store.tenant(&id("a")).await.expect("there").location, before.location);
    assert!(
        store
            .finish(at(4), held(&claimed), 1, &RunResult::Succeeded, &AttemptProgress::default())
            .await
            .expect("ended")
    );
    store.update_tenant(at(5), &id("a"), &move_to(Some("elsewhere"))).await.expect("nothing is unsettled any more");
}

/// The person who asked for it has seen one location: what they allowed there is not done to another.
#[tokio::test]
async fn a_tenant_keeps_its_location_while_a_run_executes_a_decision_or_lifts_guards() {
    let reason = Some("seen".to_owned());
    let lifting = RunOptions {
        overridden_guards: [GuardRule::PrimaryChange].into(),
        override_reason: reason,
        ..RunOptions::default()
    };
    let deciding = RunOptions { decision: Some(Decision::PushAgain), ..RunOptions::default() };
    for (options, is_kept) in [(RunOptions::default(), false), (lifting, true), (deciding, true)] {
        let store = store_with(&["a"]).await;
        let case = format!("{options:?}");
        let run = store.accept(at(0), &NewRun { options, ..new_run("a", REAL) }).await.expect("accepted").run;
        let moved = Tenant { location: Some(LocationId::parse("elsewhere").expect("an id")), ..tenant("a") };
        let imported = store.import_tenants(at(1), &[NewTenant { tenant: moved, categories: None }], true).await;
        let refused = imported.expect("rehearsed").refused;
        for location in [Some("elsewhere"), None] {
            let change = store.update_tenant(at(1), &id("a"), &move_to(location)).await;
            match change {
                Ok(_) => assert!(!is_kept, "{case}"),
                Err(error) => assert_eq!((is_kept, &error.metadata()["run"]), (true, &run.resource_name()), "{case}"),
            }
        }
        let expected = if is_kept { vec![(0, vec![ImportRejection::RunInProgress(run.id)])] } else { vec![] };
        assert_eq!(refused, expected, "{case}");
        store.cancel(at(2), run.id).await.expect("cancelled");
        store.update_tenant(at(3), &id("a"), &move_to(Some("afterwards"))).await.expect("nothing holds it any more");
    }
}

/// Two statements that meet: whichever comes first, the write does not reach a location that the tenant has lost.
#[tokio::test]
async fn a_move_that_is_not_committed_yet_is_waited_for() {
    let store = store_with(&["a"]).await;
    let claimed = store.claimed(0, "a", REAL).await;
    let mut moving = store.pool.begin().await.expect("begun");
    let sql = "update tenant set gbp_location = 'elsewhere' where id = 'a'";
    sqlx::raw_sql(sql).execute(&mut *moving).await.expect("moved");
    let (writer, progress, held) = (store.store.clone(), bound(&tenant("a")), held(&claimed));
    let begun = tokio::spawn(async move { writer.begin_write(at(2), held, &progress, LEASE).await });
    let is_waiting =
        "select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')";
    while !sqlx::query_scalar::<_, bool>(is_waiting).fetch_one(&store.pool).await.expect("asked") {}
    moving.commit().await.expect("committed");
    assert_eq!(begun.await.expect("ended").expect("answered"), BeginWriteResult::TargetChanged);
}

/// A shutdown cuts a request off that is on its way to Google, and may take effect all the same.
#[tokio::test]
async fn a_run_that_is_handed_back_while_it_writes_is_looked_at_when_that_request_is_over() {
    let store = store_with(&["a"]).await;
    let claimed = store.claimed(0, "a", REAL).await;
    assert_eq!(begin(&store, &claimed, &bound(&tenant("a"))).await, BeginWriteResult::Granted);
    assert_eq!(store.release(&[held(&claimed)]).await.expect("handed back"), [claimed.run.id]);
    let claim = async |seconds| store.claim(at(seconds), 1, LEASE).await.expect("claimed").len();
    assert_eq!((claim(31).await, claim(32).await), (0, 1), "the lease began at 2, with the write");
}

/// Whoever looks earlier may find nothing, and say so, and the request arrives afterwards.
#[tokio::test]
async fn nor_does_a_cancellation_let_it_be_looked_at_earlier() {
    for is_batch in [false, true] {
        let store = store_with(&["a"]).await;
        let batch = if is_batch { Some(store.batch_of(super::batches::EVERYBODY, 1).await) } else { None };
        let claimed = match batch {
            Some(_) => {
                store.work_off(99).await;
                store.claim(at(2), 1, LEASE).await.expect("claimed").remove(0)
            }
            None => store.claimed(0, "a", REAL).await,
        };
        assert_eq!(begin(&store, &claimed, &bound(&tenant("a"))).await, BeginWriteResult::Granted);
        store.release(&[held(&claimed)]).await.expect("handed back");
        match batch {
            Some(batch) => {
                assert!(store.cancel_batch(at(3), batch).await.expect("cancelled"));
                assert!(store.work(super::batches::chunk(99)).await.expect("told").is_done);
            }
            None => drop(store.cancel(at(3), claimed.run.id).await.expect("marked").expect("live")),
        }
        let claim = async |seconds| store.claim(at(seconds), 1, LEASE).await.expect("claimed").len();
        assert_eq!((claim(31).await, claim(32).await), (0, 1), "of a batch: {is_batch}");
    }
}

/// Nobody lived to tell whether it took effect, so the next run looks whether what is there is ours.
#[tokio::test]
async fn what_a_run_may_have_written_that_was_given_up_is_known_to_the_next_one() {
    let store = store_with(&["a", "b"]).await;
    let (writing, reading) = (store.claimed(0, "a", REAL).await, store.claimed(0, "b", REAL).await);
    let progress = bound(&tenant("a"));
    assert_eq!(begin(&store, &writing, &progress).await, BeginWriteResult::Granted);
    let reclaimed = store.reclaim_expired(at(100), 10, 0).await.expect("rescued");
    assert!(reclaimed.len() == 2 && reclaimed.iter().all(|run| run.failed), "{reclaimed:?}");

    let sync = store.tenant_sync(&id("a")).await.expect("read").expect("there");
    let left = sync.unresolved.expect("a write whose outcome is unknown");
    assert_eq!(Some(left.what.set), progress.write_intent.map(|intent| intent.after));
    assert_eq!((left.by.run, left.by.at), (writing.run.id, time(100)));
    assert_eq!((sync.cause, sync.observe_failed.map(|by| by.run)), (DriftCause::Unknown, Some(writing.run.id)));

    assert_eq!(store.tenant_sync(&id("b")).await.expect("read"), None, "{} had nothing under way", reading.run.id);
}

/// Otherwise it would begin anew, without a pause, until the clock has caught up.
#[tokio::test]
async fn a_run_that_begins_anew_has_been_joined_before_that_also_by_a_clock_that_is_set_back() {
    let store = store_with(&["a"]).await;
    let claimed = store.claimed(0, "a", REAL).await;
    assert!(store.accept(at(600), &new_run("a", REAL)).await.expect("joined").joined);
    let read_at = |seconds| AttemptProgress { read_at: Some(time(seconds)), ..bound(&tenant("a")) };
    assert_eq!(begin(&store, &claimed, &read_at(3)).await, BeginWriteResult::Superseded);
    let planned = AttemptProgress { write_intent: None, ..read_at(3) };
    assert!(store.requeue(at(4), held(&claimed), Duration::ZERO, &planned).await.expect("requeued"));
    let next = store.claim_one(5).await;
    assert_eq!(begin(&store, &next, &read_at(6)).await, BeginWriteResult::Granted);
}

#[tokio::test]
async fn a_request_that_joined_after_the_source_was_read_is_not_passed_over() {
    let store = store_with(&["a"]).await;
    let claimed = store.claimed(0, "a", REAL).await;
    store.execute("update run set joined_at = '2030-03-17 17:46:50+00'").await;
    let read_at = |seconds| AttemptProgress { read_at: Some(time(seconds)), ..bound(&tenant("a")) };
    for (seconds, expected) in
        [(9, BeginWriteResult::Superseded), (10, BeginWriteResult::Superseded), (11, BeginWriteResult::Granted)]
    {
        assert_eq!(begin(&store, &claimed, &read_at(seconds)).await, expected, "read at {seconds}");
    }
    let end = |progress: AttemptProgress| AttemptProgress { write_intent: None, ..progress };
    let finish = async |progress| {
        store.finish(at(12), held(&claimed), 1, &RunResult::Succeeded, &end(progress)).await.expect("answered")
    };
    assert!(!finish(read_at(10)).await, "nor does it end the run");
    assert!(store.is_superseded(held(&claimed), Some(time(10))).await.expect("asked"));
    assert!(!store.is_superseded(held(&claimed), Some(time(11))).await.expect("asked"));
    assert!(finish(read_at(11)).await);
}

#[tokio::test]
async fn a_success_is_about_the_location_and_the_tenant_that_it_was_for() {
    let store = store_with(&["a"]).await;
    let succeed = async |seconds: i64, location: &str| {
        let claimed = store.claimed(seconds, "a", REAL).await;
        let location = Some(LocationId::parse(location).expect("an id"));
        store.succeed(at(seconds), held(&claimed), location).await;
        claimed.run
    };
    let last = async |run| store.source(100, run).await.last_success_at;
    let run = succeed(1, "at-a").await;
    assert_eq!(last(&run).await, Some(time(1)));
    store.update_tenant(at(2), &id("a"), &move_to(Some("elsewhere"))).await.expect("moved");
    assert_eq!(last(&run).await, None, "a first run at the new place");
    assert_eq!(store.last_success(&id("a")).await.expect("read"), None);
    succeed(3, "elsewhere").await;
    assert_eq!(last(&run).await, Some(time(3)));
    store.update_tenant(at(4), &id("a"), &move_to(Some("at-a"))).await.expect("moved");
    assert_eq!(last(&run).await, None, "what was left there may be long gone");

    succeed(5, "at-a").await;
    store.delete_tenant(&id("a")).await.expect("deleted");
    store.insert_tenant(at(6), &tenant("a")).await.expect("created");
    assert_eq!(last(&run).await, None, "another tenant of the same name");
}

#[tokio::test]
async fn a_cancellation_does_not_hurry_a_run_with_an_unsettled_write() {
    let store = store_with(&["a"]).await;
    let claimed = store.claimed(0, "a", REAL).await;
    let progress = bound(&tenant("a"));
    assert_eq!(begin(&store, &claimed, &progress).await, BeginWriteResult::Granted);
    let minute = Duration::from_secs(60);
    let error = super::failed_attempt(1);
    store.cancel(at(3), claimed.run.id).await.expect("marked");
    store.retry(at(4), held(&claimed), minute, true, &error, &progress).await.expect("queued");
    assert_eq!(store.get(claimed.run.id).await.next_attempt_at, Some(time(64)), "it waits as any other");
    store.cancel(at(5), claimed.run.id).await.expect("marked").expect("live");
    assert_eq!(store.get(claimed.run.id).await.next_attempt_at, Some(time(64)), "whoever asks again changes nothing");
}

#[tokio::test]
async fn the_first_cancellation_of_a_waiting_run_lets_it_settle_at_once() {
    let store = store_with(&["a"]).await;
    let claimed = store.claimed(0, "a", REAL).await;
    let progress = bound(&tenant("a"));
    assert_eq!(begin(&store, &claimed, &progress).await, BeginWriteResult::Granted);
    let hour = Duration::from_secs(3600);
    store.retry(at(4), held(&claimed), hour, true, &super::failed_attempt(1), &progress).await.expect("queued");
    store.cancel(at(5), claimed.run.id).await.expect("marked").expect("live");
    assert_eq!(store.get(claimed.run.id).await.next_attempt_at, None);
}
