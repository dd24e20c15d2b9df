//! What one connection may carry.

use tokio::time::timeout;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::*;
use crate::wire::channel;

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
    let service = limited(Limits { streams_per_subject: 1, ..no_rate() }).await;
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
    timeout(PATIENCE, next).await.expect("its turn").expect("served");
}
