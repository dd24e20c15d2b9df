//! What is recorded of a tenant by an attempt that only finds the write of an earlier one done is what that attempt would have recorded.

use axum::http::Method;
use category_mirror_client::{Run, RunState, Strategy};

use super::{
    end_blocked,
    google::{Answer, Google},
    outcomes::{attempt, runner},
    service_for,
};
use crate::service::{Service, categories};

async fn accepted(service: &Service, strategy: Strategy) -> Run {
    service.client.mirror("a", strategy).send().await.expect("accepted").run
}

async fn make_due(service: &Service) {
    let sql = "update run set next_attempt_at = null where state = 'queued';
               update run set lease_expires_at = now() - interval '1 s' where state = 'running'";
    sqlx::raw_sql(sql).execute(&service.pool).await.expect("due");
}

async fn ended(service: &Service, google: &Google, run: &Run) -> Run {
    for _ in 0..10 {
        make_due(service).await;
        attempt(service, google).await;
        let run = service.get(run).await;
        if run.is_terminal() {
            return run;
        }
    }
    panic!("the run does not end");
}

/// A server that dies when the tenant's categories are written, before it records the end of the run.
async fn dies_before_the_end(service: &Service, google: &Google) {
    google.close();
    let (mut runner, stop) = runner(service, google);
    let task = tokio::spawn(async move { runner.tick(None).await });
    google.holds(1).await;
    // From here on no run can end, as what reclaims expired leases could not either.
    let mut lock = service.pool.begin().await.expect("begun");
    sqlx::raw_sql("lock table run_history in share mode").execute(&mut *lock).await.expect("locked");
    google.open();
    end_blocked(service, &task, "with ended as%").await;
    lock.rollback().await.expect("unlocked");
    let _ = task.await;
    stop.cancel();
}

#[tokio::test]
async fn a_crash_after_the_write_to_the_platform_does_not_cost_the_baseline() {
    let service = service_for(&["a"]).await;
    let google = Google::start("cafe", &[]).await;
    let run = accepted(&service, Strategy::GbpToPlatform).await;
    dies_before_the_end(&service, &google).await;
    let written = service.client.get_tenant_categories("a").send().await.expect("read");
    assert!(written.additional.is_empty(), "the write was made");

    let run = ended(&service, &google, &run).await;
    assert_eq!((run.state, run.counts.deleted), (RunState::Succeeded, 1));
    assert_eq!(run.plan.as_ref().map(|plan| &plan.changes), Some(&run.written_changes));
    let sync = service.client.get_tenant_sync("a").send().await.expect("read");
    assert_eq!(sync.cause.to_string(), "in_sync");

    // Whoever changes it next is told apart by what was left.
    google.edit(categories("deli", &[]));
    let look = service.client.mirror("a", Strategy::PlatformToGbp).dry_run(true).send().await.expect("accepted").run;
    ended(&service, &google, &look).await;
    let sync = service.client.get_tenant_sync("a").send().await.expect("read");
    assert_eq!(sync.cause.to_string(), "merchant_edited");
}

#[tokio::test]
async fn an_overwrite_counts_though_the_answer_to_the_write_is_lost() {
    let service = service_for(&["a"]).await;
    let google = Google::start("cafe", &[]).await;
    let first = accepted(&service, Strategy::PlatformToGbp).await;
    ended(&service, &google, &first).await;
    for overwrites in 1..=3 {
        google.edit(categories("deli", &[]));
        google.script(Method::PATCH, [Answer::status(502)]);
        google.script(Method::GET, [Answer::status(200), Answer::status(503)]);
        let run = accepted(&service, Strategy::PlatformToGbp).await;
        let run = ended(&service, &google, &run).await;
        assert_eq!((run.state, run.attempt), (RunState::Succeeded, 2), "{run:?}");
        let sync = service.client.get_tenant_sync("a").send().await.expect("read");
        assert_eq!((sync.overwrite_times.len(), sync.cause.to_string().as_str()), (overwrites, "in_sync"));
    }
    google.edit(categories("deli", &[]));
    let run = accepted(&service, Strategy::PlatformToGbp).await;
    let run = ended(&service, &google, &run).await;
    assert_eq!((run.state, run.reason.as_deref()), (RunState::Skipped, Some("EDIT_CONFLICT")), "it is found out");
}

#[tokio::test]
async fn a_run_writes_once_however_many_attempts_it_takes() {
    let service = service_for(&["a"]).await;
    service.categories(&[("bar", "gcid:bar"), ("deli", "gcid:deli")]).await;
    service.set("a", &["cafe", "bakery", "bar"]).await;
    let google = Google::start("cafe", &["bakery", "bar", "deli", "x", "y"]).await;
    google.script(Method::PATCH, [Answer::status(502)]);
    google.script(Method::GET, [Answer::status(200), Answer::status(503)]);
    let run = accepted(&service, Strategy::PlatformToGbp).await;
    attempt(&service, &google).await;
    // By now the platform wants two more of them gone: each alone would pass a guard of three, all five together would not.
    service.set("a", &["cafe"]).await;

    let run = ended(&service, &google, &run).await;
    assert_eq!((run.state, run.counts.deleted), (RunState::Succeeded, 3));
    assert_eq!(google.writes().len(), 1, "what has changed since is for the next run, and its guards");
}

/// A run ends with the write that an earlier attempt of it has made. Whoever asks for something else meanwhile is told which run to wait for,
/// and not that this run does it.
#[tokio::test]
async fn nobody_joins_a_run_that_may_have_written_something_else() {
    let service = service_for(&["a"]).await;
    let google = Google::start("cafe", &[]).await;
    google.script(Method::PATCH, [Answer::status(502)]);
    google.script(Method::GET, [Answer::status(200), Answer::status(503)]);
    let first = accepted(&service, Strategy::PlatformToGbp).await;
    attempt(&service, &google).await;
    let same = service.client.mirror("a", Strategy::PlatformToGbp).send().await.expect("it is what that run does");
    assert_eq!((same.joined, &same.run.name), (true, &first.name));

    service.set("a", &["cafe"]).await;
    let other = service.client.mirror("a", Strategy::PlatformToGbp).send().await.expect_err("it is not");
    assert_eq!(
        (other.reason(), other.metadata()["join_refusal"].as_str()),
        (Some("RUN_IN_PROGRESS"), "SOURCE_CHANGED")
    );
    let first = ended(&service, &google, &first).await;
    assert_eq!((first.state, first.counts.created), (RunState::Succeeded, 1), "it ends with what it wrote");
    let next = accepted(&service, Strategy::PlatformToGbp).await;
    let next = ended(&service, &google, &next).await;
    assert_eq!((next.state, google.has()), (RunState::Succeeded, categories("cafe", &[])));
}

/// The write of a run that never learnt of it is that run's, once another run has seen it.
#[tokio::test]
async fn the_next_run_finds_what_became_of_an_unknown_write() {
    let service = service_for(&["a"]).await;
    let google = Google::start("cafe", &[]).await;
    google.script(Method::PATCH, [Answer::status(502)]);
    google.script(Method::GET, [Answer::status(200), Answer::status(503), Answer::error(403, "NO")]);
    let unknown = accepted(&service, Strategy::PlatformToGbp).await;
    let unknown = ended(&service, &google, &unknown).await;
    assert_eq!((unknown.state, unknown.reason.as_deref()), (RunState::Failed, Some("PERMISSION_DENIED")));
    assert!(unknown.unresolved_write.is_some() && unknown.written_changes.is_empty());
    let sync = service.client.get_tenant_sync("a").send().await.expect("read");
    assert_eq!((sync.cause.to_string().as_str(), sync.written.is_some()), ("unknown", false));

    let next = accepted(&service, Strategy::PlatformToGbp).await;
    let next = ended(&service, &google, &next).await;
    assert_eq!((next.state, next.written_changes.len()), (RunState::Succeeded, 0));
    let sync = service.client.get_tenant_sync("a").send().await.expect("read");
    assert_eq!(sync.cause.to_string(), "in_sync");
    assert_eq!(sync.written.expect("known now").additional.len(), 1);
    assert_eq!(sync.write_run.as_deref(), Some(unknown.name.as_str()));

    let revert = service.client.revert_run(&unknown.name).send().await.expect("accepted").run;
    let revert = ended(&service, &google, &revert).await;
    assert_eq!((revert.state, google.has()), (RunState::Succeeded, categories("cafe", &[])));
}

/// A tenant that is moved under a run: the run writes to the new place, planned for that, or not at all.
#[tokio::test]
async fn a_run_whose_tenant_is_moved_writes_nothing_to_the_old_place() {
    for (moved_to, ends) in [(Some("new"), RunState::Succeeded), (None, RunState::Failed)] {
        let service = service_for(&["a"]).await;
        let google = Google::start("cafe", &[]).await;
        google.close();
        let run = accepted(&service, Strategy::PlatformToGbp).await;
        let (mut first, stop) = runner(&service, &google);
        let task = tokio::spawn(async move { first.tick(None).await });
        google.holds(1).await;
        let change = service.client.update_tenant("a");
        let change = match moved_to {
            Some(location) => change.location("1", location),
            None => change.clear_location(),
        };
        change.send().await.expect("nothing is written yet");
        google.open();
        task.await.expect("ended").expect("carried out");
        stop.cancel();
        assert_eq!(google.count(&Method::PATCH), 0, "planned from another place");

        let run = ended(&service, &google, &run).await;
        assert_eq!(run.state, ends, "{run:?}");
        let expected: &[&str] = if moved_to.is_some() { &["/v1/locations/new"] } else { &[] };
        assert_eq!(google.patched(), expected);
    }
}

/// What an attempt planned for the old place is not what the run found at the new one.
#[tokio::test]
async fn a_run_whose_tenant_is_moved_tells_of_the_new_place_alone() {
    let service = service_for(&["a"]).await;
    let google = Google::start("cafe", &[]).await;
    google.close();
    let run = accepted(&service, Strategy::PlatformToGbp).await;
    let (mut first, stop) = runner(&service, &google);
    let task = tokio::spawn(async move { first.tick(None).await });
    google.holds(1).await;
    service.client.update_tenant("a").location("1", "new").send().await.expect("nothing is written yet");
    google.open();
    task.await.expect("ended").expect("carried out");
    stop.cancel();

    google.edit(categories("cafe", &["bakery"]));
    let run = ended(&service, &google, &run).await;
    let found = run.plan.as_ref().expect("a plan").changes.len();
    assert_eq!((run.state, found, google.count(&Method::PATCH)), (RunState::Succeeded, 0, 0), "it is in sync");
}
