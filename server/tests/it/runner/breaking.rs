//! The circuit breaker, in a process that carries runs out.

use category_mirror::domain::Backoff;
use category_mirror_client::RunState;
use http::Method;

use super::{ends::slow_backoff, google::Answer, *};

const TENANTS: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
const AT_ONCE: usize = 4;
/// What runs would ask without a breaker, within moments: twelve of them, five times each.
const WITHOUT: usize = 12 * 5;

/// Nobody is at work, and at least one attempt was not counted: what failed while the circuit was open.
const ALL_WAIT: &str = "select count(*) filter (where state = 'queued') = 12 and sum(uncounted_attempts) > 0 from run";

#[tokio::test]
async fn when_everything_fails_runs_wait_and_lose_nothing_by_it() {
    let service = service_for(&TENANTS).await;
    let google = Google::start("bar", &[]).await;
    google.answers(503);
    let mut runs = Vec::new();
    for tenant in TENANTS {
        runs.push(service.accepted(tenant).await);
    }
    // Without a breaker, each would have used up its attempts within moments.
    let backoff = Backoff { initial: Duration::from_millis(1), max: Duration::from_millis(2), jitter: Duration::ZERO };
    let worker = Worker::start(&service, &google, RunnerConfig { concurrency: AT_ONCE, backoff, ..settings() });
    service.database_says(ALL_WAIT).await;
    let failures = google.count(&Method::GET);
    assert!(failures < WITHOUT / 2, "{failures} calls");

    google.answers(200);
    for run in &runs {
        let ended = service.until(run, |run| run.state.is_terminal()).await;
        assert_eq!(ended.state, RunState::Succeeded, "{:?}", ended.error);
    }
    // One look each, and perhaps a probe on its way: while they waited, nobody asked again and again.
    let looks = google.count(&Method::GET) - failures;
    assert!(looks <= TENANTS.len() + 1, "{looks} looks");
    worker.stop().await;
}

/// The circuit is open: of the eleven that are neither stuck nor sent away, everybody waits, and one attempt at least was not counted.
const OTHERS_WAIT: &str =
    "select count(*) filter (where state = 'queued') = 12 and sum(uncounted_attempts) > 0 from run";

#[tokio::test]
async fn one_location_that_keeps_failing_takes_no_second_probe_before_the_others_and_an_hour_of_one_is_its_own() {
    let service = service_for(&TENANTS).await;
    let google = Google::start("bar", &[]).await;
    // The update of `a` is answered by a gateway, and so is the look at what became of it: nobody knows.
    let stuck = service.accepted("a").await;
    google.script(Method::PATCH, [Answer::status(502)]);
    google.script(Method::GET, [Answer::status(200), Answer::status(503)]);
    let worker = Worker::start(&service, &google, slow_backoff());
    service.database_says("select bool_and(state = 'queued' and write_intent is not null) from run").await;
    worker.stop().await;

    google.answers(503);
    google.answers_of("at-b", Answer::error(400, "THROTTLED"));
    let mut runs = Vec::new();
    for tenant in &TENANTS[1..] {
        runs.push(service.accepted(tenant).await);
    }
    let backoff = Backoff { initial: Duration::from_millis(1), max: Duration::from_millis(2), jitter: Duration::ZERO };
    let worker = Worker::start(&service, &google, RunnerConfig { concurrency: AT_ONCE, backoff, ..settings() });
    service.database_says(OTHERS_WAIT).await;
    google.answers_of("at-a", Answer::status(503));
    google.answers(200);
    // It is the oldest, so the first in line, and from now on it never waits for a time.
    service.client.cancel_run(&stuck.name).send().await.expect("cancelled");

    for run in &runs[1..] {
        let ended = service.until(run, |run| run.state.is_terminal()).await;
        assert_eq!(ended.state, RunState::Succeeded, "{:?}", ended.error);
    }
    let sent_away = service.get(&runs[0]).await;
    assert_eq!((sent_away.state, sent_away.reason.as_deref()), (RunState::Queued, Some("QUOTA_EXHAUSTED")));
    worker.stop().await;
}
