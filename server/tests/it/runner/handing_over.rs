//! Several workers on one database: they share work, and take over from each other.

use std::time::Duration;

use axum::http::Method;
use category_mirror::runner::RunnerConfig;
use category_mirror_client::RunState;

use super::{Service, Worker, google::Google, service_for, settings};

#[tokio::test]
async fn two_workers_share_what_a_third_process_accepts() {
    let tenants = ["a", "b", "c", "d"];
    let service = service_for(&tenants).await;
    let googles = [Google::start("cafe", &[]).await, Google::start("cafe", &[]).await];
    let two = RunnerConfig { concurrency: 2, ..settings() };
    let workers = googles.each_ref().map(|google| {
        google.close();
        Worker::start(&service, google, two)
    });
    let mut runs = Vec::new();
    for tenant in tenants {
        runs.push(service.accepted(tenant).await);
    }
    // Neither goes on before both have their share: the first would take the rest, too.
    for google in &googles {
        google.holds(2).await;
    }
    googles.iter().for_each(Google::open);
    for run in &runs {
        let run = service.ended(&run.name).await;
        assert_eq!((run.state, run.attempt, run.uncounted_attempts), (RunState::Succeeded, 1, 0));
    }
    let writes: usize = googles.iter().map(|google| google.count(&Method::PATCH)).sum();
    assert!((2..=4).contains(&writes), "{writes}");
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_shutdown_lets_runs_finish_within_the_grace_period() {
    let service = service_for(&["a", "b"]).await;
    let google = Google::start("cafe", &[]).await;
    google.close();
    let worker = Worker::start(&service, &google, settings());
    let run = service.accepted("a").await;
    google.holds(1).await;
    worker.stop.cancel();
    let late = service.accepted("b").await;
    google.open();
    worker.stop().await;

    assert_eq!(service.get(&run).await.state, RunState::Succeeded);
    assert_eq!(service.get(&late).await.state, RunState::Queued, "nothing is begun any more");
}

#[tokio::test]
async fn a_shutdown_hands_back_what_outlasts_the_grace_period() {
    let service = service_for(&["a"]).await;
    let google = Google::start("cafe", &[]).await;
    google.close();
    let worker = Worker::start(&service, &google, RunnerConfig { grace: Duration::from_millis(50), ..settings() });
    let run = service.accepted("a").await;
    google.holds(1).await;
    worker.stop().await;

    let uncounted_attempts = service.get(&run).await;
    assert_eq!((uncounted_attempts.state, uncounted_attempts.attempt), (RunState::Queued, 0), "not the tenant's fault");
    assert_eq!(uncounted_attempts.uncounted_attempts, 1);
    google.open();
    let next = Worker::start(&service, &google, settings());
    let run = service.ended(&run.name).await;
    assert_eq!((run.state, run.attempt, run.uncounted_attempts), (RunState::Succeeded, 1, 1));
    next.stop().await;
}

#[tokio::test]
async fn a_shutdown_hands_back_what_somebody_writes_of_at_that_moment() {
    let service = service_for(&["a"]).await;
    let google = Google::start("cafe", &[]).await;
    google.close();
    let worker = Worker::start(&service, &google, RunnerConfig { grace: Duration::ZERO, ..settings() });
    let run = service.accepted("a").await;
    google.holds(1).await;
    let mut heartbeat = service.pool.begin().await.expect("begun");
    // Connected before the lock: a row that is locked for more than 5 s is left to its lease.
    service.database_says("select true").await;
    sqlx::raw_sql("select from run for update").execute(&mut *heartbeat).await.expect("locked");
    worker.stop.cancel();
    service
        .database_says(
            "select exists (select from pg_stat_activity
                             where datname = current_database() and query like '%uncounted_attempts as%' and pid <> pg_backend_pid())",
        )
        .await;
    heartbeat.rollback().await.expect("unlocked");
    worker.stop().await;

    let run = service.get(&run).await;
    assert_eq!((run.state, run.attempt, run.uncounted_attempts), (RunState::Queued, 0, 1));
}

/// The grace period of a test that is about what a shutdown does within it, however slow the machine is.
const LONG_GRACE: Duration = Duration::from_secs(600);

/// A worker whose claim of the only run waits for a lock, and who has been told to stop. Returns once that lock is gone.
async fn stopped_while_it_claims(service: &Service, google: &Google, grace: Duration) -> Worker {
    let mut lock = service.pool.begin().await.expect("begun");
    sqlx::raw_sql("lock table run in share mode").execute(&mut *lock).await.expect("locked");
    let worker = Worker::start(service, google, RunnerConfig { grace, ..settings() });
    service
        .database_says(
            "select exists (select from pg_stat_activity where datname = current_database()
                             and wait_event_type = 'Lock' and query like 'with interactive%')",
        )
        .await;
    // It is claimed after the stop, because the database answers after it.
    worker.stop.cancel();
    lock.rollback().await.expect("unlocked");
    worker
}

/// The attempt of a run that was handed back before it began.
fn free_for_others() -> (RunState, i32, i32) {
    (RunState::Queued, 0, 1)
}

#[tokio::test]
async fn a_shutdown_does_not_lose_the_claim_that_is_under_way() {
    let service = service_for(&["a"]).await;
    let google = Google::start("cafe", &[]).await;
    let run = service.accepted("a").await;
    stopped_while_it_claims(&service, &google, LONG_GRACE).await.stop().await;

    let run = service.get(&run).await;
    assert_eq!((run.state, run.attempt, run.uncounted_attempts), free_for_others(), "at once");
}

/// The look that claims is cut short, and what the database answers to it after that is nobody's.
#[tokio::test]
async fn a_shutdown_without_any_grace_does_not_lose_it_either() {
    let service = service_for(&["a"]).await;
    let google = Google::start("cafe", &[]).await;
    let run = service.accepted("a").await;
    stopped_while_it_claims(&service, &google, Duration::ZERO).await.stop().await;

    let run = service.get(&run).await;
    assert_eq!((run.state, run.attempt, run.uncounted_attempts), free_for_others());
}

/// Makes the next `failures` hand-backs fail, as a database does that has no connection to spare, or restarts.
async fn hand_backs_fail(service: &Service, failures: u32) {
    let broken = format!(
        "create sequence failures;
         create function fails() returns trigger language plpgsql as
             $$ begin
                 if new.state = 'queued' and nextval('failures') <= {failures} then
                     raise exception 'away' using errcode = '57P01';
                 end if;
                 return new;
             end $$;
         create trigger fails before update on run for each row execute function fails()"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(broken)).execute(&service.pool).await.expect("made");
}

#[tokio::test]
async fn a_shutdown_hands_back_again_what_the_database_refused_to_take_back() {
    let service = service_for(&["a"]).await;
    let google = Google::start("cafe", &[]).await;
    let run = service.accepted("a").await;
    hand_backs_fail(&service, 2).await;
    stopped_while_it_claims(&service, &google, LONG_GRACE).await.stop().await;

    let run = service.get(&run).await;
    assert_eq!((run.state, run.attempt, run.uncounted_attempts), free_for_others(), "and not when its lease expires");
}

#[tokio::test]
async fn a_shutdown_hands_back_again_what_outlasted_the_grace_period() {
    let service = service_for(&["a"]).await;
    let google = Google::start("cafe", &[]).await;
    google.close();
    let worker = Worker::start(&service, &google, RunnerConfig { grace: Duration::ZERO, ..settings() });
    let run = service.accepted("a").await;
    google.holds(1).await;
    hand_backs_fail(&service, 1).await;
    worker.stop().await;

    let run = service.get(&run).await;
    assert_eq!((run.state, run.attempt, run.uncounted_attempts), free_for_others());
}

#[tokio::test]
async fn d11_the_runs_of_a_worker_that_died_are_taken_over() {
    let service = service_for(&["a"]).await;
    let google = Google::start("cafe", &[]).await;
    google.close();
    let worker = Worker::start(&service, &google, settings());
    let run = service.accepted("a").await;
    google.holds(1).await;
    worker.kill().await;
    google.holds(0).await;
    google.open();
    // No test waits for a lease, and none may lose one because the machine is slow.
    sqlx::raw_sql("update run set lease_expires_at = now() - interval '1 second' where state = 'running'")
        .execute(&service.pool)
        .await
        .expect("expired");

    let heir = Worker::start(&service, &google, settings());
    let run = service.ended(&run.name).await;
    assert_eq!((run.state, run.attempt, run.uncounted_attempts), (RunState::Succeeded, 1, 1));
    assert_eq!(google.count(&Method::PATCH), 1);
    heir.stop().await;
}

#[tokio::test]
async fn a_worker_that_lost_its_run_writes_nothing() {
    let service = service_for(&["a"]).await;
    let google = Google::start("cafe", &[]).await;
    google.close();
    // Three heartbeats a lease: one tells the worker soon, and a machine that stops for seconds does not lose the lease by itself.
    let worker = Worker::start(&service, &google, RunnerConfig { lease: Duration::from_secs(6), ..settings() });
    let run = service.accepted("a").await;
    google.holds(1).await;
    // Another server holds it now, for good.
    let taken: i32 = sqlx::query_scalar(
        "update run set fencing_token = fencing_token + 1, lease_expires_at = 'infinity' where state = 'running' returning fencing_token - uncounted_attempts",
    )
    .fetch_one(&service.pool)
    .await
    .expect("taken");
    // Its heartbeat tells the worker, who hangs up.
    google.holds(0).await;
    google.open();
    worker.stop().await;

    assert_eq!(google.count(&Method::PATCH), 0);
    let run = service.get(&run).await;
    assert_eq!((run.state, run.attempt), (RunState::Running, taken));
}
