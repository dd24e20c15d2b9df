//! How attempts end, and what follows.

use std::time::Duration;

use axum::http::Method;
use category_mirror::{
    app::FlagCache,
    domain::{self, Backoff, RunId, RunKind, RunOptions, TenantId},
    runner::{Runner, RunnerConfig},
    store::{NewRun, Store},
    wake::WakeUpBus,
};
use category_mirror_client::{Run, RunState, Strategy};
use chrono::{DateTime, TimeDelta, Utc};
use tokio_util::sync::CancellationToken;

use super::{
    Worker,
    google::{Answer, Google},
    outcomes::runner,
    service_for, settings,
};
use crate::service::{Setup, categories};

pub(super) fn slow_backoff() -> RunnerConfig {
    let minute = Duration::from_secs(60);
    RunnerConfig { backoff: Backoff { initial: minute, max: minute, jitter: Duration::ZERO }, ..settings() }
}

#[tokio::test]
async fn no_more_runs_are_carried_out_at_once_than_allowed() {
    let tenants = ["a", "b", "c", "d", "e"];
    let service = service_for(&tenants).await;
    let google = Google::start("cafe", &["bakery"]).await;
    google.close();
    let mut runs = Vec::new();
    for tenant in tenants {
        runs.push(service.accepted(tenant).await);
    }
    let worker = Worker::start(&service, &google, RunnerConfig { concurrency: 2, ..settings() });
    google.holds(2).await;
    let running: i64 = sqlx::query_scalar("select count(*) from run where state = 'running'")
        .fetch_one(&service.pool)
        .await
        .expect("counted");
    assert_eq!(running, 2, "what waits is left to others");

    google.open();
    for run in &runs {
        assert_eq!(service.ended(&run.name).await.state, RunState::Succeeded);
    }
    assert_eq!(google.most(), 2);
    worker.stop().await;
}

/// Lets one attempt fail with `answer`; the run, and how long after the failure its next attempt is due, within the test's own time.
async fn after_failure(answer: Answer) -> (Run, TimeDelta, TimeDelta) {
    let service = service_for(&["a"]).await;
    let google = Google::start("cafe", &[]).await;
    google.script(Method::GET, [answer]);
    let _worker = Worker::start(&service, &google, slow_backoff());
    let begun: DateTime<Utc> = Utc::now();
    let accepted = service.accepted("a").await;
    let run = service.until(&accepted, |run| run.state == RunState::Queued && run.attempt == 1).await;
    let due = run.next_attempt_time.expect("queued");
    (run, due - Utc::now(), due - begun)
}

#[tokio::test]
async fn d15_what_may_pass_is_tried_again_after_the_backoff() {
    let (run, at_least, at_most) = after_failure(Answer::status(503)).await;
    let minute = TimeDelta::seconds(60);
    assert!(at_least <= minute && minute <= at_most, "{at_least} {at_most}");
    assert_eq!(run.reason.as_deref(), Some("UPSTREAM_UNAVAILABLE"));
    assert_eq!(run.error.map(|error| error.attempt), Some(1));
}

#[tokio::test]
async fn a_longer_retry_after_is_honoured_and_a_shorter_one_is_not() {
    for (header, seconds) in [("120", 120), ("5", 60)] {
        let (_, at_least, at_most) =
            after_failure(Answer { headers: vec![("retry-after", header)], ..Answer::status(429) }).await;
        let wait = TimeDelta::seconds(seconds);
        assert!(at_least <= wait && wait <= at_most, "{at_least} {at_most}");
    }
}

#[tokio::test]
async fn d14_the_last_attempt_says_what_every_attempt_met() {
    let service = service_for(&["a"]).await;
    let google = Google::start("cafe", &[]).await;
    google.script(Method::GET, vec![Answer::status(503); 5]);
    let worker = Worker::start(&service, &google, settings());
    let run = service.ended(&service.accepted("a").await.name).await;

    assert_eq!((run.state, run.reason.as_deref(), run.attempt), (RunState::Failed, Some("ATTEMPTS_EXHAUSTED"), 5));
    let error = run.error.expect("an error");
    assert_eq!(error.metadata["last_reason"], "UPSTREAM_UNAVAILABLE");
    assert_eq!(error.attempt, 5);
    assert_eq!((google.count(&Method::GET), google.count(&Method::PATCH)), (5, 0));
    worker.stop().await;
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_settled_by_the_next_attempt() {
    let service = service_for(&["a"]).await;
    let google = Google::start("cafe", &[]).await;
    // The update takes effect, its answer is a gateway's, and the look at what became of it finds nobody.
    google.script(Method::PATCH, [Answer::status(502)]);
    google.script(Method::GET, [Answer::status(200), Answer::status(503)]);
    let worker = Worker::start(&service, &google, settings());
    let run = service.ended(&service.accepted("a").await.name).await;

    assert_eq!((run.state, run.attempt), (RunState::Succeeded, 2));
    assert_eq!(google.count(&Method::PATCH), 1, "and not once more");
    assert_eq!(run.counts.created, 1, "d16: what the first attempt wrote is the run's");
    assert_eq!(run.written_changes.len(), 1);
    worker.stop().await;
}

#[tokio::test]
async fn d14_a_run_that_ends_without_knowing_what_became_of_its_write_says_so() {
    let service = service_for(&["a"]).await;
    let google = Google::start("cafe", &[]).await;
    google.script(Method::PATCH, [Answer::status(502)]);
    google.script(Method::GET, std::iter::once(200).chain([503; 5]).map(Answer::status).collect::<Vec<_>>());
    let worker = Worker::start(&service, &google, settings());
    let run = service.ended(&service.accepted("a").await.name).await;

    assert_eq!((run.state, run.reason.as_deref(), run.attempt), (RunState::Failed, Some("ATTEMPTS_EXHAUSTED"), 5));
    let error = run.error.expect("an error");
    assert_eq!(error.metadata["write_outcome"], "unknown");
    assert!(error.message.contains("whether its last write took effect is not known"), "{}", error.message);
    worker.stop().await;
}

#[tokio::test]
async fn d6_a_location_that_is_not_what_was_written_fails_the_run() {
    let service = service_for(&["a"]).await;
    let google = Google::start("cafe", &[]).await;
    let other = Answer { categories: Some(categories("cafe", &["bar"])), ..Answer::status(200) };
    google.script(Method::PATCH, [other]);
    let worker = Worker::start(&service, &google, settings());
    let run = service.ended(&service.accepted("a").await.name).await;

    assert_eq!((run.state, run.reason.as_deref(), run.attempt), (RunState::Failed, Some("VERIFY_MISMATCH"), 1));
    let error = run.error.expect("an error");
    assert_eq!(error.metadata["expected"], "gcid:cafe [gcid:bakery]");
    assert_eq!(error.metadata["actual"], "gcid:cafe [gcid:bar]");
    assert_eq!((run.counts.created, run.written_changes.len()), (0, 0), "what another actor wrote is not the run's");
    assert!(run.unresolved_write.is_some(), "and what the write has left is not known");
    worker.stop().await;
}

#[tokio::test]
async fn a_defect_of_the_service_ends_the_run_and_does_not_spin() {
    let service = service_for(&["a"]).await;
    let google = Google::start("cafe", &[]).await;
    let run = service.accepted("a").await;
    // No call of ours writes such a location, and no version of ours can read it.
    sqlx::raw_sql("update tenant set gbp_location = 'a/b'").execute(&service.pool).await.expect("broken");
    let worker = Worker::start(&service, &google, settings());
    let run = service.ended(&run.name).await;

    assert_eq!((run.state, run.reason.as_deref()), (RunState::Failed, Some("ATTEMPTS_EXHAUSTED")));
    assert_eq!((run.attempt, run.uncounted_attempts), (5, 0));
    let error = run.error.expect("an error");
    assert_eq!(error.metadata["last_reason"], "INTERNAL");
    assert!(!error.message.contains("a/b"), "the cause is in the log: {}", error.message);
    assert_eq!(google.count(&Method::GET), 0);
    worker.stop().await;
}

#[tokio::test]
async fn a_run_is_cancelled_before_it_writes() {
    let service = service_for(&["a"]).await;
    let google = Google::start("cafe", &[]).await;
    google.close();
    let worker = Worker::start(&service, &google, settings());
    let run = service.accepted("a").await;
    google.holds(1).await;
    assert!(service.client.cancel_run(&run.name).send().await.expect("cancelled").cancel_requested);
    google.open();

    let run = service.ended(&run.name).await;
    assert_eq!((run.state, google.count(&Method::PATCH)), (RunState::Cancelled, 0));
    worker.stop().await;
}

#[tokio::test]
async fn the_cooldown_ends_at_its_time_and_dry_runs_do_not_know_it() {
    let service = service_for(&["a"]).await;
    let google = Google::start("cafe", &["bakery"]).await;
    let stop = CancellationToken::new();
    let store = Store::new(service.pool.clone());
    let wake = WakeUpBus::start(service.pool.clone(), stop.clone());
    let minute = RunnerConfig { cooldown: Duration::from_secs(60), ..settings() };
    let flags = FlagCache::new(store.clone(), Setup::default().flags);
    let mut runner = Runner::new(store.clone(), google.accounts(&store, minute.lease), wake, flags, minute);
    let begin = Utc::now();
    for (seconds, dry_run, expected) in [
        (0, false, Ok(())),
        (59, false, Err("COOLDOWN")),
        (59, true, Ok(())),
        // The dry run has begun no cooldown, and neither has the run that was skipped.
        (60, false, Ok(())),
        (119, false, Err("COOLDOWN")),
    ] {
        let now = Some(begin + TimeDelta::seconds(seconds));
        let kind = RunKind { strategy: domain::Strategy::PlatformToGbp, dry_run };
        let tenant = TenantId::parse("a").expect("an id");
        let new = NewRun {
            id: RunId::now_v7(),
            tenant,
            kind,
            options: RunOptions::default(),
            caller: "tester".to_owned(),
            request_id: None,
            asked: None,
            max_attempts: 5,
            traceparent: None,
        };
        store.accept(now, &new).await.expect("accepted");
        assert_eq!(runner.tick(now).await.expect("carried out"), 1);
        let run = store.run(new.id).await.expect("read").expect("there");
        let shown = match run.state {
            domain::RunState::Succeeded => Ok(()),
            _ => Err(run.reason.as_deref().expect("a reason")),
        };
        assert_eq!(shown, expected, "after {seconds} s");
    }
    stop.cancel();
}

#[tokio::test]
async fn old_request_ids_are_forgotten_by_themselves() {
    let service = service_for(&[]).await;
    sqlx::raw_sql(
        "insert into idempotency_key
         select gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), false, now() - interval '25 hours'
           from generate_series(1, 25000);
         insert into idempotency_key values (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), true, now())",
    )
    .execute(&service.pool)
    .await
    .expect("inserted");
    let worker = Worker::start(&service, &Google::start("cafe", &[]).await, settings());
    service.database_says("select array_agg(joined) = '{true}' from idempotency_key").await;
    worker.stop().await;
}

/// Each press has the attempt begin anew, and an attempt asks Google.
#[tokio::test]
async fn whoever_keeps_asking_for_a_run_does_not_have_it_ask_google_without_a_pause() {
    let service = service_for(&["a"]).await;
    let google = Google::start("cafe", &[]).await;
    let press = || service.client.mirror("a", Strategy::GbpToPlatform).send();
    press().await.expect("accepted");
    for waits in [false, true, true] {
        google.close();
        let (mut runner, stop) = runner(&service, &google);
        let task = tokio::spawn(async move { runner.tick(None).await });
        google.holds(1).await;
        assert!(press().await.expect("accepted").joined);
        google.open();
        task.await.expect("ended").expect("carried out");
        stop.cancel();
        let is_waiting: bool = sqlx::query_scalar("select next_attempt_at > now() from run where state = 'queued'")
            .fetch_optional(&service.pool)
            .await
            .expect("asked")
            .flatten()
            .unwrap_or_default();
        assert_eq!(is_waiting, waits);
        sqlx::raw_sql("update run set next_attempt_at = null").execute(&service.pool).await.expect("due");
    }
    let (mut runner, stop) = runner(&service, &google);
    runner.tick(None).await.expect("carried out");
    stop.cancel();
    let run = service.client.get_last_run("a", Strategy::GbpToPlatform).send().await.expect("its run");
    assert_eq!((run.state, run.attempt, run.uncounted_attempts), (RunState::Succeeded, 1, 3));
}
