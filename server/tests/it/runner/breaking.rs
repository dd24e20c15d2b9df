//! The circuit breaker, in a process that carries runs out.

use category_mirror::domain::Backoff;
use category_mirror_client::RunState;
use http::Method;

use super::*;

const TENANTS: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
const AT_ONCE: usize = 4;
/// What opens the circuit, and what may be under way at that moment.
const MOST_FAILURES: usize = 10 + AT_ONCE - 1;

/// Nobody is at work, and at least one attempt was not counted: what failed while the circuit was open.
const ALL_WAIT: &str = "select count(*) filter (where state = 'queued') = 12 and sum(handed_back) > 0 from run";

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
    let worker = Worker::start(&service, &google, Settings { concurrency: AT_ONCE, backoff, ..settings() });
    service.database_says(ALL_WAIT).await;
    let failures = google.count(&Method::GET);
    assert!(failures <= MOST_FAILURES, "{failures} calls");

    google.answers(200);
    for run in &runs {
        let ended = service.until(run, |run| run.state.is_terminal()).await;
        assert_eq!(ended.state, RunState::Succeeded, "{:?}", ended.error);
    }
    // One look and one write each, and what was tried before: while it waited, nobody asked again and again.
    assert_eq!(google.count(&Method::GET) - failures, TENANTS.len());
    worker.stop().await;
}
