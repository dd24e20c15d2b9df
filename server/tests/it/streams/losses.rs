//! Hints that come twice or never, readers that pause, streams that are quiet or busy: the last state arrives.

use std::{collections::HashMap, time::Duration};

use category_mirror::{
    domain::{RecordedPlan, Role},
    store::{AttemptProgress, BeginWriteResult, LeaseKey},
};
use category_mirror_client::RunState;
use category_mirror_proto::v1::{
    StreamRunUpdatesRequest, StreamRunUpdatesResponse, category_mirror_service_client::CategoryMirrorServiceClient,
    run, stream_run_updates_response::Update,
};
use chrono::Utc;
use serde_json::json;
use tokio::time::timeout;
use tonic::{Streaming, transport::Endpoint};

use super::{LEASE, Quiet, WAIT_TIMEOUT, next, quiet, quiet_with, some};
use crate::{service::Setup, wake::disconnect_listeners};

#[tokio::test]
async fn no_snapshot_comes_twice_or_is_older_than_the_one_before() {
    let stage = quiet(&["a", "b"]).await;
    stage.accepted("a").await;
    let a = stage.claimed().await;
    stage.accepted("b").await;
    let b = stage.claimed().await;
    let mut stream = stage.service.client.watch_all().send();
    let mut newest: HashMap<String, i64> = HashMap::new();
    let reader = async {
        let mut ended = 0;
        while ended < 2 {
            let run = some(&mut stream).await;
            let before = newest.insert(run.name.clone(), run.revision).unwrap_or_default();
            assert!(run.revision > before, "{} after {before}", run.revision);
            ended += usize::from(run.is_terminal());
        }
    };
    let writer = async {
        for _ in 0..30 {
            for run in [&a.run, &b.run] {
                stage.touch(run.id).await;
                // Each hint three times, by two processes.
                stage.tell(run.id);
                stage.tell(run.id);
                stage.service.client.cancel_run(run.resource_name()).send().await.expect("cancelled");
            }
        }
        for claimed in [&a, &b] {
            stage.finish(claimed).await;
            stage.tell(claimed.run.id);
        }
    };
    tokio::join!(reader, writer);
    for claimed in [&a, &b] {
        let run = stage.store.run(claimed.run.id).await.expect("read").expect("there");
        assert_eq!(newest[&run.resource_name()], run.revision, "the last is never missed");
    }
}

#[tokio::test]
async fn a_change_is_delivered_although_its_notification_was_lost() {
    let stage = quiet(&["a"]).await;
    stage.accepted("a").await;
    let mut stream = stage.service.client.watch_all().send();
    assert_eq!(some(&mut stream).await.state, RunState::Queued);

    // Nobody tells of the end, as if it had happened while nobody listened.
    let claimed = stage.claimed().await;
    stage.finish(&claimed).await;
    disconnect_listeners(&stage.service.pool).await;

    // A look may have come in between.
    while some(&mut stream).await.state != RunState::Succeeded {}
}

#[tokio::test]
async fn a_reader_that_pauses_misses_states_in_the_middle_and_not_the_last() {
    const CHANGES: usize = 60;
    let stage = quiet(&["a"]).await;
    let name = stage.accepted("a").await;
    let claimed = stage.claimed().await;
    let held = LeaseKey { id: claimed.run.id, fencing_token: claimed.fencing_token };
    let large = AttemptProgress { plan: Some(large_plan()), ..AttemptProgress::default() };
    assert_eq!(stage.store.begin_write(None, held, &large, LEASE).await.expect("begun"), BeginWriteResult::Granted);
    let mut stream = stage.service.client.watch_run(&name).send();
    some(&mut stream).await;

    for _ in 0..CHANGES {
        stage.touch(claimed.run.id).await;
        stage.tell(claimed.run.id);
        // One round trip, in which the server may send what it can.
        stage.service.client.get_run(&name).send().await.expect("the run");
    }
    stage.finish(&claimed).await;
    stage.tell(claimed.run.id);

    let mut seen = Vec::new();
    while let Some(run) = next(&mut stream).await {
        seen.push(run);
    }
    assert!(seen.is_sorted_by(|a, b| a.revision < b.revision));
    assert_eq!(seen.last().map(|run| run.state), Some(RunState::Succeeded));
    assert!(seen.len() < CHANGES / 2, "{} snapshots of {} kB were kept for it", seen.len(), 300);
}

/// About 300 kB: a few fill what a connection buffers.
fn large_plan() -> RecordedPlan {
    let unmapped = |n| json!({"slug": format!("s{n}"), "display_name": "x".repeat(300)});
    let unmapped: Vec<_> = (0..1000).map(unmapped).collect();
    let recorded = json!({
        "changes": [], "observed": null, "desired": {"primary": {"gcid": "gcid:cafe"}, "additional": []},
        "unmapped": unmapped, "merged": [], "validation_errors": [], "hash": "", "observed_at": Utc::now(),
    });
    serde_json::from_value(recorded).expect("a plan")
}

/// The stream as it is on the wire, with its heartbeats, which the client keeps to itself.
async fn raw(stage: &Quiet, name: &str) -> Streaming<StreamRunUpdatesResponse> {
    let channel = Endpoint::try_from(format!("http://{}", stage.service.address)).expect("a URL").connect().await;
    let mut client = CategoryMirrorServiceClient::new(channel.expect("connected"));
    let mut request =
        tonic::Request::new(StreamRunUpdatesRequest { name: name.to_owned(), ..StreamRunUpdatesRequest::default() });
    let token = stage.service.token(Role::Viewer, "viewer", None);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().expect("ASCII"));
    client.stream_run_updates(request).await.expect("a stream").into_inner()
}

async fn update(stream: &mut Streaming<StreamRunUpdatesResponse>) -> Update {
    let message = timeout(WAIT_TIMEOUT, stream.message()).await.expect("in time").expect("a message");
    message.expect("not the end").update.expect("an update")
}

#[tokio::test]
async fn a_quiet_stream_says_that_it_is_alive_and_looks_for_itself() {
    let stage = quiet_with(&["a"], Setup { stream_heartbeat: Duration::from_millis(100), ..Setup::default() }).await;
    let mut stream = raw(&stage, "tenants/-").await;
    for _ in 0..2 {
        assert!(matches!(update(&mut stream).await, Update::Heartbeat(_)));
    }
    let name = stage.accepted("a").await;
    let claimed = stage.claimed().await;
    stage.finish(&claimed).await;
    let is_over = |update: &Update| match update {
        Update::Run(run) => run.name == name && run.state == i32::from(run::State::Succeeded),
        Update::Heartbeat(_) => false,
    };
    let wait = async { while !is_over(&update(&mut stream).await) {} };
    timeout(WAIT_TIMEOUT, wait).await.expect("found without a hint");
}

#[tokio::test]
async fn a_busy_stream_looks_for_itself_too() {
    let stage =
        quiet_with(&["busy", "lost"], Setup { stream_heartbeat: Duration::from_millis(200), ..Setup::default() }).await;
    stage.accepted("busy").await;
    let busy = stage.claimed().await;
    let mut stream = stage.service.client.watch_all().send();
    some(&mut stream).await;
    stage.accepted("lost").await;
    assert_eq!(some(&mut stream).await.tenant, "tenants/lost");
    // Nobody tells of this.
    let lost = stage.claimed().await;
    stage.finish(&lost).await;

    let work = async {
        loop {
            stage.touch(busy.run.id).await;
            stage.tell(busy.run.id);
        }
    };
    let reader = async { while some(&mut stream).await.state != RunState::Succeeded {} };
    tokio::select! {
        () = work => {}
        () = reader => {}
    }
}
