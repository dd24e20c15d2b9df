//! Durably accepted runs a second.

use std::{sync::Arc, time::Duration};

use category_mirror_client::Strategy;
use category_mirror_proto::v1::{self as proto, mirror_categories_request::Target};
use http::uri::PathAndQuery;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, client::Grpc, metadata::MetadataValue, transport::Endpoint};
use tonic_prost::ProstCodec;

use super::{
    ground::{Ground, Service, TENANTS},
    load::{Measured, measure},
    pgbench, report, rounded,
};
use crate::{
    commands::CommandError,
    domain::{RunId, RunKind, Strategy as DomainStrategy, TenantId},
    gbp::{self, InProcess},
    store::{Acceptor, NewRun, Store},
};

/// Measures with each number of callers.
pub(super) async fn run(ground: &Ground, callers: &[usize], window: Duration) -> Result<(), CommandError> {
    // It carries nothing out: what is accepted stays.
    let service = ground.serve(0, gbp::Client::in_process(InProcess::new(Duration::ZERO, |_| {}))).await?;
    for &callers in callers {
        ground.sweep().await?;
        let before = ground.pgbench.run(pgbench::INSERT, callers, window).await?;
        ground.sweep().await?;
        let grpc = grpc(&service, callers, window).await;
        ground.sweep().await?;
        let store = store(ground, callers, window).await;
        let echo = echo(&service, callers, window).await?;
        ground.sweep().await?;
        let after = ground.pgbench.run(pgbench::INSERT, callers, window).await?;
        let pgbench = f64::midpoint(before, after);
        report(&json!({
            "bench": "enqueue",
            "callers": callers,
            "grpc_per_second": grpc.per_second.round(),
            "grpc_p50_ms": rounded(grpc.percentile_ms(50)),
            "grpc_p99_ms": rounded(grpc.percentile_ms(99)),
            "store_per_second": store.per_second.round(),
            "store_p50_ms": rounded(store.percentile_ms(50)),
            "echo_per_second": echo.per_second.round(),
            "pgbench_per_second": [before.round(), after.round()],
            "ratio_grpc_to_pgbench": rounded(grpc.per_second / pgbench),
            "ratio_store_to_pgbench": rounded(store.per_second / pgbench),
            "ratio_grpc_to_echo": rounded(grpc.per_second / echo.per_second),
        }));
    }
    service.stop().await;
    Ok(())
}

async fn grpc(service: &Service, callers: usize, window: Duration) -> Measured {
    let clients = service.clients.clone();
    measure(callers, window, move |caller, number| {
        let client = clients[caller % clients.len()].clone();
        async move {
            let tenant = format!("bench-{}", number % TENANTS);
            let mirrored = client.mirror(tenant, Strategy::PlatformToGbp).send().await;
            // A call that fails would be a quick one: no figure may rest on it.
            mirrored.expect("accepted");
        }
    })
    .await
}

async fn store(ground: &Ground, callers: usize, window: Duration) -> Measured {
    let stop = CancellationToken::new();
    let acceptor = Arc::new(Acceptor::start(&Store::new(ground.pool.clone()), &stop));
    let measured = measure(callers, window, move |_, number| {
        let acceptor = acceptor.clone();
        async move {
            let new = NewRun {
                id: RunId::now_v7(),
                tenant: TenantId::parse(&format!("bench-{}", number % TENANTS)).expect("an id"),
                kind: RunKind { strategy: DomainStrategy::PlatformToGbp, dry_run: false },
                caller: "bench".to_owned(),
                // As the published client sends: every request has an id.
                request_id: Some(RunId::now_v7().to_string()),
                max_attempts: 5,
                traceparent: None,
            };
            acceptor.accept(new).await.expect("accepted");
        }
    })
    .await;
    stop.cancel();
    measured
}

/// A call that passes every layer of the server, is refused behind them for its method is none of ours, and so does nothing.
async fn echo(service: &Service, callers: usize, window: Duration) -> Result<Measured, CommandError> {
    let failed = |error: &dyn std::fmt::Display| CommandError::failed("echo", error);
    let token: MetadataValue<_> = format!("Bearer {}", service.token).parse().map_err(|error| failed(&error))?;
    let mut channels = Vec::new();
    for _ in 0..service.clients.len() {
        let endpoint = Endpoint::from_shared(format!("http://{}", service.address)).map_err(|error| failed(&error))?;
        channels.push(endpoint.connect().await.map_err(|error| failed(&error))?);
    }
    Ok(measure(callers, window, move |caller, number| {
        let mut client = Grpc::new(channels[caller % channels.len()].clone());
        let mut request = Request::new(proto::MirrorCategoriesRequest {
            strategy: proto::Strategy::PlatformToGbp.into(),
            target: Some(Target::Tenant(format!("tenants/bench-{}", number % TENANTS))),
            dry_run: false,
            request_id: RunId::now_v7().to_string(),
        });
        request.metadata_mut().insert("authorization", token.clone());
        async move {
            client.ready().await.expect("connected");
            let path = PathAndQuery::from_static("/categorymirror.v1.CategoryMirrorService/Echo");
            let codec = ProstCodec::<_, proto::MirrorCategoriesResponse>::default();
            let refused = client.unary(request, path, codec).await.expect_err("no method of ours");
            assert_eq!(refused.code(), Code::Unimplemented, "{refused}");
        }
    })
    .await)
}
