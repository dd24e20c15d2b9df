//! The kill switch in the middle of a run: it stops a write that has not begun, and nothing that has.

use axum::http::Method;
use category_mirror::domain::{Flag, TenantId};
use category_mirror_client::{FlagState, Run, RunState};

use super::{
    Worker,
    ends::slow_backoff,
    google::{Answer, Google},
    service_for, settings,
};
use crate::{
    flags::{SYNC, switch, until},
    service::{Service, categories},
};

/// Switches the worker's feature off, and waits until the worker knows.
async fn switch_off(service: &Service, worker: &Worker) {
    switch(&service.client, SYNC, FlagState::Off).await;
    let tenant = TenantId::parse("a").expect("an id");
    let is_off = async || {
        let flags = worker.flags.now().await.expect("read");
        !flags.is_on(Flag::TenantGbpCategorySync, &tenant, None)
    };
    until("the worker has heard of it", is_off).await;
}

fn assert_skipped(run: &Run) {
    assert_eq!((run.state, run.reason.as_deref()), (RunState::Skipped, Some("FEATURE_DISABLED")));
    assert_eq!(run.error.as_ref().expect("it says why").metadata["flag"], SYNC);
}

#[tokio::test]
async fn a_run_that_has_begun_does_not_write() {
    let service = service_for(&["a"]).await;
    let google = Google::start("cafe", &[]).await;
    google.close();
    let worker = Worker::start(&service, &google, settings());
    let run = service.accepted("a").await;
    google.holds(1).await;

    switch_off(&service, &worker).await;
    google.open();

    let run = service.ended(&run.name).await;
    assert_skipped(&run);
    assert!(run.plan.is_some(), "it had planned");
    assert_eq!((google.count(&Method::GET), google.count(&Method::PATCH)), (1, 0));
    worker.stop().await;
}

/// An attempt whose write took effect and whose answer is lost, then the switch, then the next attempt, which reads `found`.
async fn switched_off_after_a_lost_answer(found: Answer) -> (Run, Google) {
    let service = service_for(&["a"]).await;
    let google = Google::start("cafe", &[]).await;
    google.script(Method::PATCH, [Answer::status(502)]);
    google.script(Method::GET, [Answer::status(200), Answer::status(503), found]);
    let worker = Worker::start(&service, &google, slow_backoff());
    let accepted = service.accepted("a").await;
    service.until(&accepted, |run| run.state == RunState::Queued && run.attempt == 1).await;

    switch_off(&service, &worker).await;
    sqlx::raw_sql("update run set next_attempt_at = now()").execute(&service.pool).await.expect("due");

    let run = service.ended(&accepted.name).await;
    worker.stop().await;
    (run, google)
}

#[tokio::test]
async fn what_an_earlier_attempt_wrote_is_still_settled() {
    let (run, google) = switched_off_after_a_lost_answer(Answer::status(200)).await;
    assert_eq!((run.state, run.attempt, run.counts.created), (RunState::Succeeded, 2, 1));
    assert_eq!(google.count(&Method::PATCH), 1);
}

#[tokio::test]
async fn but_nothing_more_is_written_after_it() {
    let elsewhere = Answer { categories: Some(categories("deli", &[])), ..Answer::status(200) };
    let (run, google) = switched_off_after_a_lost_answer(elsewhere).await;
    assert_eq!((run.state, run.reason.as_deref()), (RunState::Failed, Some("VERIFY_MISMATCH")), "it may have written");
    assert!(run.unresolved_write.is_some() && run.written_changes.is_empty(), "and does not know");
    assert_eq!(google.count(&Method::PATCH), 1);
}

#[tokio::test]
async fn nothing_is_written_while_the_switch_cannot_be_read() {
    let service = service_for(&["a", "b"]).await;
    let google = Google::start("cafe", &[]).await;
    google.close();
    let worker = Worker::start(&service, &google, settings());
    let run = service.accepted("a").await;
    let other = service.accepted("b").await;
    google.holds(2).await;

    // Somebody may switch it off now, and nobody would know.
    let mut locked = service.pool.begin().await.expect("begun");
    sqlx::query("lock table flag in access exclusive mode").execute(&mut *locked).await.expect("locked");
    until("the worker no longer believes what it has read", async || worker.flags.now().await.is_err()).await;
    google.open();
    for run in [&run, &other] {
        let waiting = service.until(run, |run| run.state == RunState::Queued).await;
        assert_eq!((waiting.attempt, waiting.reason.as_deref()), (0, None), "it is not the tenant's fault");
    }
    assert_eq!(google.count(&Method::PATCH), 0);
    let refused = service.client.mirror("a", category_mirror_client::Strategy::GbpToPlatform).send().await;
    assert_eq!(refused.expect_err("nor is anything accepted").reason(), Some("DATABASE_UNAVAILABLE"));

    locked.rollback().await.expect("released");
    for run in [&run, &other] {
        let run = service.ended(&run.name).await;
        assert_eq!((run.state, run.attempt), (RunState::Succeeded, 1));
    }
    assert_eq!(google.count(&Method::PATCH), 2);
    worker.stop().await;
}
