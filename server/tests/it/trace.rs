//! The caller's trace, from the call through the queue to Google.

use category_mirror_client::Strategy;
use category_mirror_proto::v1::{self, mirror_categories_request::Target};
use tonic::Request;

use super::{
    replica::{Door, idle, replica},
    service::{self, Setup},
    wire::Wire,
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn request(traceparent: &str) -> Request<v1::MirrorCategoriesRequest> {
    let mut request = Request::new(v1::MirrorCategoriesRequest {
        strategy: v1::Strategy::PlatformToGbp.into(),
        target: Some(Target::Tenant("tenants/store".to_owned())),
        ..v1::MirrorCategoriesRequest::default()
    });
    request.metadata_mut().insert("traceparent", traceparent.parse().expect("ASCII"));
    request
}

#[tokio::test]
async fn what_the_callers_tracing_systems_have_added_goes_on_at_google_too() {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe", "bakery"], "cafe", &["bar"]).await;
    let mut wire = Wire::admin(&service);
    let mut asking = request(&format!("00-{TRACE}-00f067aa0ba902b7-01"));
    for state in ["rojo=00f067aa0ba902b7 ,", "congo=t61rcWkgMzE"] {
        asking.metadata_mut().append("tracestate", state.parse().expect("ASCII"));
    }
    let answer = wire.mirror.mirror_categories(asking).await.expect("accepted").into_inner();

    let door = Door::closed(&service.google.endpoint).await;
    door.open();
    let elsewhere = replica(&service, Setup::default(), &door.endpoint).await;
    service.ended(&answer.run.expect("a run").name).await;
    let sent = door.headers("tracestate");
    assert_eq!(sent.len(), door.headers("traceparent").len());
    assert!(sent.len() >= 2 && sent.iter().all(|it| it == "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"), "{sent:?}");
    elsewhere.stop().await;
}

#[tokio::test]
async fn what_is_no_tracestate_is_left_out_and_the_trace_goes_on() {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe", "bakery"], "cafe", &["bar"]).await;
    let traceparent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let mut asking = request(&traceparent);
    asking.metadata_mut().insert("tracestate", "made up, by a proxy".parse().expect("ASCII"));
    Wire::admin(&service).mirror.mirror_categories(asking).await.expect("accepted");
    let kept: (Option<String>, Option<String>) =
        sqlx::query_as("select traceparent, tracestate from run").fetch_one(&service.pool).await.expect("read");
    assert_eq!(kept, (Some(traceparent), None));
}

#[tokio::test]
async fn the_callers_trace_goes_on_at_google_whatever_server_carries_the_run_out() {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe", "bakery"], "cafe", &["bar"]).await;
    let mut wire = Wire::admin(&service);
    let traceparent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let answer = wire.mirror.mirror_categories(request(&traceparent)).await.expect("accepted").into_inner();

    let door = Door::closed(&service.google.endpoint).await;
    door.open();
    let elsewhere = replica(&service, Setup::default(), &door.endpoint).await;
    service.ended(&answer.run.expect("a run").name).await;
    let sent = door.headers("traceparent");
    assert!(sent.len() >= 2, "the location is read and written: {sent:?}");
    for header in &sent {
        assert!(header.starts_with(&format!("00-{TRACE}-")) && header.ends_with("-01"), "{header}");
        assert!(!header.contains("00f067aa0ba902b7"), "a span of ours asks, and not the caller's: {header}");
    }
    elsewhere.stop().await;
}

#[tokio::test]
async fn a_trace_of_the_published_client_is_kept_with_the_run() {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe", "bakery"], "cafe", &["bar"]).await;
    let request = service.client.mirror("store", Strategy::PlatformToGbp).metadata("x-request-id", "7");
    request.traceparent(format!("00-{TRACE}-00f067aa0ba902b7-01")).send().await.expect("accepted");
    let kept: Option<String> =
        sqlx::query_scalar("select traceparent from run").fetch_one(&service.pool).await.expect("read");
    assert!(kept.as_ref().is_some_and(|kept| kept.starts_with(&format!("00-{TRACE}-"))), "{kept:?}");
}

#[tokio::test]
async fn what_is_no_trace_costs_no_call() {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe", "bakery"], "cafe", &["bar"]).await;
    let answer = Wire::admin(&service).mirror.mirror_categories(request("made up, by a proxy")).await;
    answer.expect("accepted");
    let kept: Option<String> =
        sqlx::query_scalar("select traceparent from run").fetch_one(&service.pool).await.expect("read");
    assert_eq!(kept, None);
}
