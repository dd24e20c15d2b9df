//! A server that is told to stop: what is under way ends well, and nothing new begins.

use category_mirror_client::{Client, RunState};
use category_mirror_proto::v1::{StreamRunUpdatesRequest, category_mirror_service_client::CategoryMirrorServiceClient};
use nix::sys::signal::Signal;
use serde_json::json;
use tonic::{Code, Request};
use tonic_health::pb::health_check_response::ServingStatus::{NotServing, Serving};
use tonic_types::StatusExt;

use super::site::{FOR_EVER_MS, Site, ended};

#[tokio::test]
async fn sigterm_lets_a_run_finish_and_refuses_new_calls() {
    let site = Site::new().await;
    let server = site.serve(&[]).await;
    let client = site.client(&server);
    site.load(&client).await;
    site.google.fault(json!({"method": "locations.get", "delay_ms": 1000, "times": 1})).await;
    let run = site.trigger(&client).await;
    site.asked("locations.get", 1).await;

    server.signal(Signal::SIGTERM);
    server.logged("draining").await;
    let error = client.get_tenant("store").send().await.expect_err("refused");
    assert!(error.is_unavailable(), "{error}");
    let (status, log) = server.ended().await;
    assert_eq!(status.code(), Some(0), "{log:#?}");

    let server = site.serve(&[]).await;
    let run = site.client(&server).get_run(run.as_str()).send().await.expect("the run");
    site.assert_mirrored_once(&run).await;
    assert_eq!((run.attempt, run.uncounted_attempts), (1, 0));
    server.stop().await;
}

#[tokio::test]
async fn a_run_that_outlasts_the_grace_period_is_handed_back_and_not_counted() {
    let site = Site::new().await;
    // So long a lease that nobody but this server can have handed the run back.
    let server = site.serve(&[("SHUTDOWN_GRACE_PERIOD", "0s"), ("RUNNER_LEASE", "1h")]).await;
    let client = site.client(&server);
    site.load(&client).await;
    site.google.fault(json!({"method": "locations.patch", "delay_ms": FOR_EVER_MS, "times": 1})).await;
    let run = site.trigger(&client).await;
    site.asked("locations.patch", 1).await;

    server.stop().await;
    // The update may be on its way, so the run waits as long as the lease would have: an hour.
    let waits = "update run set next_attempt_at = null where state = 'queued' and next_attempt_at > now() returning 1";
    sqlx::query(waits).fetch_one(&site.pool()).await.expect("handed back, and waiting");

    let server = site.serve(&[]).await;
    let run = ended(&site.client(&server), &run).await;
    site.assert_mirrored_once(&run).await;
    assert_eq!((run.attempt, run.uncounted_attempts), (1, 1));
    server.stop().await;
}

#[tokio::test]
async fn streams_end_with_draining_and_a_watch_goes_on_at_the_next_server() {
    let site = Site::new().await;
    let server = site.serve(&[("RUNNER_CONCURRENCY", "0")]).await;
    let client = site.client(&server);
    site.load(&client).await;
    let run = site.trigger(&client).await;
    let mut watched = Client::builder(format!("http://{}", server.address))
        .token(site.token())
        .build()
        .expect("a client")
        .watch_run(run.as_str())
        .send();
    assert_eq!(watched.next().await.expect("open").expect("a snapshot").state, RunState::Queued);
    let mut request = Request::new(StreamRunUpdatesRequest { name: "tenants/-".to_owned(), after_revision: 0 });
    let bearer = format!("Bearer {}", site.token()).parse().expect("a header");
    request.metadata_mut().insert("authorization", bearer);
    let raw = CategoryMirrorServiceClient::new(server.connect().await).stream_run_updates(request).await;
    let mut raw = raw.expect("open").into_inner();
    raw.message().await.expect("no error").expect("the live run");

    let address = server.address.to_string();
    server.signal(Signal::SIGTERM);
    let status = raw.message().await.expect_err("the stream ends");
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert_eq!(status.get_details_error_info().expect("a reason").reason, "DRAINING");
    let (status, log) = server.ended().await;
    assert_eq!(status.code(), Some(0), "{log:#?}");

    let server = site.serve(&[("LISTEN_ADDR", &address)]).await;
    let mut states = Vec::new();
    while let Some(run) = watched.next().await {
        states.push(run.expect("no error shows").state);
    }
    assert_eq!(states.last(), Some(&RunState::Succeeded), "{states:?}");
    server.stop().await;
}

#[tokio::test]
async fn whoever_watches_health_hears_of_the_end_and_does_not_hold_it_up() {
    let site = Site::new().await;
    let server = site.serve(&[("SHUTDOWN_GRACE_PERIOD", "1h")]).await;
    let mut health = server.health().await;
    health.becomes(Serving).await;

    server.signal(Signal::SIGTERM);

    health.becomes(NotServing).await;
    assert_eq!(health.next().await, None);
    let (status, log) = server.ended().await;
    assert_eq!(status.code(), Some(0), "{log:#?}");
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once_and_the_next_server_finishes_its_run() {
    let site = Site::new().await;
    let server = site.serve(&[("SHUTDOWN_GRACE_PERIOD", "1h")]).await;
    let client = site.client(&server);
    site.load(&client).await;
    site.google.fault(json!({"method": "locations.get", "delay_ms": FOR_EVER_MS, "times": 1})).await;
    let run = site.trigger(&client).await;
    site.asked("locations.get", 1).await;

    server.signal(Signal::SIGTERM);
    server.logged("draining").await;
    server.signal(Signal::SIGINT);
    let (status, log) = server.ended().await;
    assert_eq!(status.code(), Some(128 + Signal::SIGINT as i32), "{log:#?}");

    let server = site.serve(&[]).await;
    let run = ended(&site.client(&server), &run).await;
    site.assert_mirrored_once(&run).await;
    assert_eq!((run.attempt, run.uncounted_attempts), (1, 1));
    server.stop().await;
}
