//! What one connection may carry.

use futures::{StreamExt, stream};
use tokio::time::timeout;
use tonic::{Code, client::Grpc};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::*;
use crate::wire::{channel, refusal};

/// Calls at once on a connection, besides its streams.
const CALLS: usize = 256;

#[tokio::test]
async fn headers_that_are_too_long_are_refused_and_the_connection_stays() {
    let service = limited(no_rate()).await;
    let http = reqwest::Client::builder().http2_prior_knowledge().build().expect("a client");
    let call = |length: usize| {
        let call = http.post(format!("http://{}/grpc.health.v1.Health/Check", service.address));
        let call = call.header("content-type", "application/grpc").header("te", "trailers");
        call.header("x-long", "x".repeat(length)).body(vec![0; 5]).send()
    };
    assert_eq!(call(15 * 1024).await.expect("an answer").status(), 200);
    assert_eq!(call(17 * 1024).await.expect("an answer").status(), 431);
    assert_eq!(call(0).await.expect("an answer").status(), 200);
}

#[tokio::test]
async fn what_is_too_much_for_a_connection_waits_at_the_client() {
    // As many watches as the connection may have streams, of one address.
    let connections = ConnectionLimits { max_per_address: 4096, ..ConnectionLimits::default() };
    let limits = CallLimits { max_streams_per_subject: 1, max_streams: 4 * (CALLS + 1), connections, ..no_rate() };
    let service = limited(limits).await;
    let channel = channel(&service);
    let mut health = HealthClient::new(channel.clone());
    let mut watches = Vec::new();
    for _ in 0..=CALLS {
        watches.push(health.watch(HealthCheckRequest::default()).await.expect("open"));
    }
    let mut more = HealthClient::new(channel);
    let mut next = Box::pin(more.check(HealthCheckRequest::default()));
    assert!(timeout(Duration::from_millis(100), &mut next).await.is_err(), "there is no limit");
    watches.pop();
    timeout(ARRIVAL_TIMEOUT, next).await.expect("its turn").expect("served");
}

/// What is answered before it is read must not count against the connection, which others may share.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_outlives_any_number_of_refused_calls() {
    const REFUSED: usize = 3000;
    let service = limited(no_rate()).await;
    let viewer = caller(&service, "viewer");
    let calls = |n: usize| {
        let mut mirror = viewer.mirror.clone();
        async move {
            let tenant = Some(v1::mirror_categories_request::Target::Tenant(format!("tenants/{n}")));
            let request = v1::MirrorCategoriesRequest { target: tenant, ..Default::default() };
            let refused = refusal(mirror.mirror_categories(request).await);
            assert_eq!((refused.code, refused.reason.as_str()), (Code::PermissionDenied, "PERMISSION_DENIED"));
        }
    };
    stream::iter(0..REFUSED).map(calls).buffer_unordered(64).collect::<()>().await;

    let channel = channel(&service);
    let unknown = |n: usize| {
        let mut client = Grpc::new(channel.clone());
        async move {
            client.ready().await.expect("connected");
            let path = http::uri::PathAndQuery::from_static("/grpc.health.v1.Health/Echo");
            let codec = tonic_prost::ProstCodec::<_, HealthCheckRequest>::default();
            let request = Request::new(HealthCheckRequest { service: n.to_string() });
            let refused = client.unary(request, path, codec).await.expect_err("no such method");
            assert_eq!(refused.code(), Code::Unimplemented, "{refused:?}");
        }
    };
    stream::iter(0..REFUSED).map(unknown).buffer_unordered(64).collect::<()>().await;
}
