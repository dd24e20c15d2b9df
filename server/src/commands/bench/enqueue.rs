//! Durably accepted runs a second.

use std::{sync::Arc, time::Duration};

use category_mirror_client::Strategy;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::{
    ground::{Ground, TENANTS},
    load::{Measured, measure},
    pgbench, report, rounded,
};
use crate::{
    commands::CommandError,
    domain::{RunId, RunKind, Strategy as DomainStrategy, TenantId},
    store::{Acceptor, NewRun, Store},
};

/// Measures with each number of callers.
pub(super) async fn run(ground: &Ground, callers: &[usize], window: Duration) -> Result<(), CommandError> {
    for &callers in callers {
        ground.sweep().await?;
        let before = ground.pgbench.run(pgbench::INSERT, callers, window).await?;
        ground.sweep().await?;
        let grpc = grpc(ground, callers, window).await;
        ground.sweep().await?;
        let store = store(ground, callers, window).await;
        let echo = echo(ground, callers, window).await?;
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
    Ok(())
}

async fn grpc(ground: &Ground, callers: usize, window: Duration) -> Measured {
    let clients = ground.clients.clone();
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
            };
            acceptor.accept(new).await.expect("accepted");
        }
    })
    .await;
    stop.cancel();
    measured
}

async fn echo(ground: &Ground, callers: usize, window: Duration) -> Result<Measured, CommandError> {
    let mut channels = Vec::new();
    for _ in 0..ground.clients.len() {
        let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", ground.address));
        let endpoint = endpoint.map_err(|error| CommandError::failed("echo", error))?;
        channels.push(endpoint.connect().await.map_err(|error| CommandError::failed("echo", error))?);
    }
    Ok(measure(callers, window, move |caller, _| {
        let mut client = HealthClient::new(channels[caller % channels.len()].clone());
        async move {
            let request = HealthCheckRequest { service: String::new() };
            client.check(request).await.expect("an echo");
        }
    })
    .await)
}
