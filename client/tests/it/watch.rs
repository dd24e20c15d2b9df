//! Watches outlive their connections.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use category_mirror_client::{Items, RetryPolicy, Run, RunState};
use category_mirror_proto::v1::{self, run::State};
use tonic::Status;

use crate::fake::{Ending, Fake, run, too_much, updates};

async fn next(items: &mut Items<Run>) -> (String, i64) {
    let run = items.next().await.expect("one more").expect("a snapshot");
    (run.name.rsplit('/').next().expect("an id").to_owned(), run.revision)
}

fn found(run: v1::Run) -> Result<v1::GetRunResponse, Status> {
    Ok(v1::GetRunResponse { run: Some(run) })
}

#[tokio::test]
async fn a_cut_stream_goes_on_after_the_last_revision_and_ends_with_the_run() {
    let fake = Fake::start().await;
    let stream = &fake.methods.stream_run_updates;
    stream.will(Ok(updates(vec![run("1", 1, State::Queued), run("1", 2, State::Running)], Ending::Silence)));
    // A server that is less careful than it should be: it repeats, and goes back.
    let repeated = vec![run("1", 2, State::Running), run("1", 1, State::Queued), run("1", 5, State::Succeeded)];
    stream.will(Ok(updates(repeated, Ending::Silence)));

    let mut runs = fake.client().watch_run("tenants/t/runs/1").send();
    assert_eq!(next(&mut runs).await.1, 1);
    assert_eq!(next(&mut runs).await.1, 2);
    fake.cut();
    let last = runs.next().await.expect("the end").expect("a snapshot");
    assert_eq!((last.revision, last.state), (5, RunState::Succeeded));
    assert!(runs.next().await.is_none());

    let asked = stream.asked();
    let after: Vec<i64> = asked.iter().map(|a| a.message.after_revision).collect();
    assert_eq!(after, [0, 2]);
    assert_eq!(asked[1].message.name, "tenants/t/runs/1");
    assert_eq!(asked[0].timeout, None, "a stream has no deadline");
}

#[tokio::test]
async fn a_draining_server_is_left_for_another() {
    let fake = Fake::start().await;
    let stream = &fake.methods.stream_run_updates;
    stream.will(Ok(updates(vec![run("1", 1, State::Running)], Ending::Fail(Status::unavailable("draining")))));
    stream.will(Err(Status::unavailable("draining")));
    stream.will(Ok(updates(vec![run("1", 2, State::Failed)], Ending::Close)));
    let runs = fake.client().watch_run("1").send().collect().await.expect("to its end");
    assert_eq!(runs.iter().map(|run| run.revision).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(stream.asked().len(), 3);
}

#[tokio::test]
async fn a_stream_too_many_is_opened_when_there_is_room() {
    let fake = Fake::start().await;
    let stream = &fake.methods.stream_run_updates;
    stream.will(Err(too_much(Duration::from_millis(1))));
    stream.will(Ok(updates(vec![run("1", 2, State::Failed)], Ending::Close)));
    let runs = fake.client().watch_run("1").send().collect().await.expect("to its end");
    assert_eq!(runs.len(), 1);
    assert_eq!(stream.asked().len(), 2);
}

#[tokio::test]
async fn a_silent_stream_is_opened_again() {
    let fake = Fake::start().await;
    let stream = &fake.methods.stream_run_updates;
    stream.will(Ok(updates(vec![], Ending::Silence)));
    // More than one, for a machine so busy that it finds a good stream silent as well.
    for _ in 0..9 {
        stream.will(Ok(updates(vec![run("1", 2, State::Cancelled)], Ending::Silence)));
    }
    let tries = RetryPolicy::new(10, Duration::ZERO, Duration::ZERO);
    let client = fake.builder().heartbeat_timeout(Duration::from_millis(300)).retry(tries).build();
    let runs = client.expect("good settings").watch_run("1").send().collect().await.expect("to its end");
    assert_eq!(runs.len(), 1);
    assert!(stream.asked().len() >= 2);
}

#[tokio::test]
async fn a_stream_that_never_comes_up_is_given_up() {
    let fake = Fake::start().await;
    let stream = &fake.methods.stream_run_updates;
    for _ in 0..9 {
        stream.will(Err(Status::unavailable("down")));
    }
    let mut runs = fake.client().watch_run("1").send();
    assert!(runs.next().await.expect("an item").expect_err("down").is_unavailable());
    assert!(runs.next().await.is_none());
    assert_eq!(stream.asked().len(), 3, "the retries of a call, not those of a stream that was up");
}

#[tokio::test]
async fn a_stream_that_was_up_is_given_up_later() {
    let fake = Fake::start().await;
    let stream = &fake.methods.stream_run_updates;
    stream.will(Ok(updates(vec![run("1", 1, State::Running)], Ending::Fail(Status::unavailable("cut")))));
    for _ in 0..9 {
        stream.will(Err(Status::unavailable("down")));
    }
    let error = fake.client().watch_run("1").send().collect().await.expect_err("down");
    assert_eq!(error.message(), "down");
    assert_eq!(stream.asked().len(), 5);
}

#[tokio::test]
async fn what_waiting_does_not_help_ends_the_stream() {
    let fake = Fake::start().await;
    fake.methods.stream_run_updates.will(Err(Status::not_found("no such run")));
    let mut runs = fake.client().watch_run("1").send();
    assert!(runs.next().await.expect("an item").expect_err("unknown").is_not_found());
    assert!(runs.next().await.is_none());
    assert_eq!(fake.methods.stream_run_updates.asked().len(), 1);
}

#[tokio::test]
async fn a_run_that_ended_before_the_watch_resumed_has_no_more_to_tell() {
    let fake = Fake::start().await;
    fake.methods.stream_run_updates.will(Ok(updates(vec![], Ending::Close)));
    fake.methods.get_run.will(found(run("1", 7, State::Succeeded)));
    let runs = fake.client().watch_run("1").after_revision(7).send().collect().await.expect("the end");
    assert_eq!(runs, []);
    assert_eq!(fake.methods.stream_run_updates.asked()[0].message.after_revision, 7);
}

#[tokio::test]
async fn a_stream_that_ends_too_early_is_opened_again() {
    let fake = Fake::start().await;
    let stream = &fake.methods.stream_run_updates;
    stream.will(Ok(updates(vec![run("1", 1, State::Queued)], Ending::Close)));
    fake.methods.get_run.will(found(run("1", 2, State::Running)));
    stream.will(Ok(updates(vec![run("1", 3, State::Succeeded)], Ending::Close)));
    let runs = fake.client().watch_run("1").send().collect().await.expect("to its end");
    assert_eq!(runs.iter().map(|run| run.revision).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(stream.asked()[1].message.after_revision, 2);
}

#[tokio::test]
async fn an_end_that_nobody_saw_is_read_after_a_reconnect() {
    let fake = Fake::start().await;
    let stream = &fake.methods.stream_run_updates;
    let live = vec![run("a", 1, State::Running), run("b", 1, State::Queued), run("c", 4, State::Succeeded)];
    stream.will(Ok(updates(live, Ending::Silence)));
    // While the connection was down, `a` ended. The server tells what is live, and then the end of `b`.
    let live = vec![run("b", 1, State::Queued), run("a", 2, State::Failed), run("b", 2, State::Succeeded)];
    stream.will(Ok(updates(live, Ending::Silence)));

    let mut runs = fake.client().watch_all().send();
    for expected in ["a", "b", "c"] {
        assert_eq!(next(&mut runs).await.0, expected);
    }
    // The two are read at once, in no certain order, so both answers are of one run: `b` comes by the stream.
    fake.methods.get_run.will(found(run("a", 2, State::Failed))).will(found(run("a", 2, State::Failed)));
    fake.cut();
    assert_eq!(next(&mut runs).await, ("a".to_owned(), 2));
    assert_eq!(next(&mut runs).await, ("b".to_owned(), 2));
    let mut reread: Vec<String> = fake.methods.get_run.asked().iter().map(|a| a.message.name.clone()).collect();
    reread.sort();
    assert_eq!(reread, ["tenants/t/runs/a", "tenants/t/runs/b"]);
    assert_eq!(stream.asked()[0].message.name, "tenants/-");
    assert_eq!(stream.asked()[1].message.after_revision, 0);
}

#[tokio::test]
async fn a_token_that_runs_out_under_a_stream_is_renewed() {
    let fake = Fake::start().await;
    let stream = &fake.methods.stream_run_updates;
    let expired = || Status::unauthenticated("the token has expired");
    stream.will(Ok(updates(vec![run("1", 1, State::Running)], Ending::Fail(expired()))));
    stream.will(Ok(updates(vec![run("1", 2, State::Running)], Ending::Fail(expired()))));
    stream.will(Err(expired()));
    let count = AtomicU32::new(0);
    let client = fake.builder().token(move || {
        let token = count.fetch_add(1, Ordering::Relaxed).to_string();
        async move { Ok(token) }
    });
    let mut runs = client.build().expect("loopback").watch_tenant("t").send();
    fake.methods.get_run.will(Err(Status::not_found("gone"))).will(Err(Status::not_found("gone")));
    assert_eq!(next(&mut runs).await.1, 1);
    assert_eq!(next(&mut runs).await.1, 2);
    // A new token that is refused at once is not a question of time.
    assert!(runs.next().await.expect("an item").expect_err("refused").is_unauthenticated());
    assert!(runs.next().await.is_none());
    let asked = stream.asked();
    assert_eq!(asked.len(), 3);
    assert_ne!(asked[0].authorization, asked[1].authorization);
    assert_eq!(asked[0].message.name, "tenants/t");
}

#[tokio::test]
async fn a_batch_is_watched_until_it_is_over_and_its_last_runs_are_read_again() {
    let fake = Fake::start().await;
    let batch = |is_over: bool| {
        let end_time = is_over.then(prost_types::Timestamp::default);
        Ok(v1::GetBatchResponse { batch: Some(v1::Batch { end_time, ..Default::default() }) })
    };
    let stream = &fake.methods.stream_run_updates;
    let begun = vec![run("1", 1, State::Queued), run("2", 1, State::Queued), run("1", 2, State::Succeeded)];
    stream.will(Ok(updates(begun, Ending::Close)));
    // The first server only stopped.
    fake.methods.get_batch.will(batch(false)).will(batch(true));
    fake.methods.get_run.will(found(run("2", 2, State::Running))).will(found(run("2", 3, State::Failed)));
    stream.will(Ok(updates(vec![], Ending::Close)));

    let runs = fake.client().watch_batch("b").send().collect().await.expect("to its end");

    assert_eq!(runs.iter().map(|run| run.revision).collect::<Vec<_>>(), [1, 1, 2, 2, 3]);
    assert_eq!(stream.asked()[1].message.name, "batches/b");
}
