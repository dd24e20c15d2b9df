//! Calls a second.

use category_mirror::api::CallLimits;
use category_mirror_client::RetryPolicy;
use category_mirror_proto::v1::CreateTenantRequest;
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::*;
use crate::wire::{channel, refusal};

#[tokio::test]
async fn a_subject_who_calls_too_often_is_told_when_to_come_back_and_nobody_else_is() {
    let service = limited(CallLimits { rate: 1, burst: 3, ..CallLimits::default() }).await;
    let mut busy = caller(&service, "busy");
    let mut taken = 0;
    // A machine may be so slow that one more is due in the meantime.
    let refused = loop {
        match busy.tenants.list_tenants(list()).await {
            Ok(_) => taken += 1,
            refused => break refusal(refused),
        }
        assert!(taken < 100, "it is never too much");
    };
    assert!(taken >= 3, "{taken}");
    assert_eq!((refused.code, refused.reason.as_str()), (Code::ResourceExhausted, "RATE_LIMITED"), "{refused:?}");
    assert_eq!(value(&refused, "limit"), "1");
    let wait = wait(&refused);
    assert!(!wait.is_zero() && wait.as_secs_f64() <= 1.0 && wait.subsec_nanos().is_multiple_of(1_000_000), "{wait:?}");

    caller(&service, "other").tenants.list_tenants(list()).await.expect("a bucket of its own");
    let mut health = HealthClient::new(channel(&service));
    for _ in 0..10 {
        health.check(HealthCheckRequest::default()).await.expect("health is open");
    }
}

#[tokio::test]
async fn what_is_refused_counts_and_what_nobody_vouches_for_does_not() {
    let service = limited(CallLimits { rate: 1, burst: 2, ..CallLimits::default() }).await;
    let mut nobody = Wire::with_token(&service, "nonsense");
    for _ in 0..20 {
        assert_eq!(refusal(nobody.tenants.list_tenants(list()).await).code, Code::Unauthenticated);
    }
    let mut viewer = caller(&service, "viewer");
    let mut codes = Vec::new();
    while !codes.contains(&Code::ResourceExhausted) {
        codes.push(refusal(viewer.tenants.create_tenant(CreateTenantRequest::default()).await).code);
        assert!(codes.len() < 100, "{codes:?}");
    }
    assert_eq!(codes[..2], [Code::PermissionDenied; 2]);
}

#[tokio::test]
async fn the_published_client_comes_back_when_it_is_told() {
    let service = limited(CallLimits { rate: 20, burst: 1, ..CallLimits::default() }).await;
    let token = service.token(Role::Admin, "eager", None);
    let at_once = Duration::from_nanos(1);
    let client = category_mirror_client::Client::builder(format!("http://{}", service.address)).token(token);
    // Left to itself, it would have used up its tries in no time.
    let client = client.retry(RetryPolicy::new(4, at_once, at_once)).build().expect("good settings");
    for tenant in ["a", "b", "c", "d"] {
        let create = client.create_tenant(tenant).display_name(tenant).region_code("US").language_code("en");
        create.send().await.expect("a write that is no repetition, either");
    }
}
