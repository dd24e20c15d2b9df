//! Durably accepted runs a second.

use std::{sync::Arc, time::Duration};

use category_mirror::{
    commands::CommandError,
    domain::{RunId, RunKind, RunOptions, Strategy as DomainStrategy, TenantId},
    store::{Acceptor, ID_BY_DATABASE, NewRun, Store},
};
use category_mirror_client::{Client, Strategy};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    echo::EchoServer,
    environment::{BenchEnvironment, CONNECTIONS, ServerEndpoint, TENANTS},
    in_process::in_process,
    load::{Measured, measure},
    pgbench,
    report::{report, rounded},
};

/// Pieces of a window in which two servers take turns.
const ROUNDS: u32 = 4;

/// Measures with each number of callers.
pub(crate) async fn run(
    environment: &BenchEnvironment,
    callers: &[usize],
    window: Duration,
) -> Result<(), CommandError> {
    // It carries nothing out: what is accepted stays.
    let service = environment.serve(0, in_process(Duration::ZERO, |_| {})?).await?;
    let echo = EchoServer::start(environment).await?;
    for &callers in callers {
        environment.clear_runs().await?;
        let before = environment.pgbench.run(pgbench::INSERT, callers, window).await?;
        let own =
            beside_echo(environment, (&service.service_layers, &echo.service_layers), callers, callers, window).await?;
        let shared = if callers > CONNECTIONS {
            Some(
                beside_echo(environment, (&service.service_layers, &echo.service_layers), CONNECTIONS, callers, window)
                    .await?,
            )
        } else {
            None
        };
        environment.clear_runs().await?;
        let alone = store(environment, callers, window, false).await;
        environment.clear_runs().await?;
        let with_ids = store(environment, callers, window, true).await;
        environment.clear_runs().await?;
        let after = environment.pgbench.run(pgbench::INSERT, callers, window).await?;
        let pgbench = f64::midpoint(before, after);
        report(&json!({
            "bench": "enqueue",
            "callers": callers,
            "own_connections": own.figures(pgbench),
            "shared_connections": shared.map(|shared| shared.figures(pgbench)),
            "store_per_second": alone.per_second().round(),
            "store_p50_ms": rounded(alone.percentile_ms(50)),
            "store_with_request_ids_per_second": with_ids.per_second().round(),
            "store_with_request_ids_p50_ms": rounded(with_ids.percentile_ms(50)),
            "pgbench_per_second": [before.round(), after.round()],
            "ratio_store_to_pgbench": rounded(alone.per_second() / pgbench),
            "ratio_store_with_request_ids_to_pgbench": rounded(with_ids.per_second() / pgbench),
        }))?;
    }
    service.stop().await;
    Ok(())
}

/// Calls of the service, and of the echo.
struct BesideEcho {
    connections: usize,
    grpc: Measured,
    echo: Measured,
}

impl BesideEcho {
    fn figures(&self, pgbench: f64) -> Value {
        let Self { connections, grpc, echo } = self;
        json!({
            "connections": connections,
            "grpc_per_second": grpc.per_second().round(),
            "grpc_p50_ms": rounded(grpc.percentile_ms(50)),
            "grpc_p99_ms": rounded(grpc.percentile_ms(99)),
            "echo_per_second": echo.per_second().round(),
            "ratio_grpc_to_pgbench": rounded(grpc.per_second() / pgbench),
            "ratio_grpc_to_echo": rounded(grpc.per_second() / echo.per_second()),
        })
    }
}

/// Both servers in turns, in pieces of the window: a second in which the machine has something else to do falls on both.
async fn beside_echo(
    environment: &BenchEnvironment,
    (service, echo): (&ServerEndpoint, &ServerEndpoint),
    connections: usize,
    callers: usize,
    window: Duration,
) -> Result<BesideEcho, CommandError> {
    let (service, echo) = (service.clients(connections)?, echo.clients(connections)?);
    // A connection is made by its first call.
    for (number, client) in (0..).zip(service.iter().chain(&*echo)) {
        call(client.clone(), number).await;
    }
    let mut measured = BesideEcho { connections, grpc: Measured::default(), echo: Measured::default() };
    for _ in 0..ROUNDS {
        environment.clear_runs().await?;
        measured.grpc.add(calls(&service, callers, window / ROUNDS).await);
        measured.echo.add(calls(&echo, callers, window / ROUNDS).await);
    }
    Ok(measured)
}

async fn calls(clients: &Arc<[Client]>, callers: usize, window: Duration) -> Measured {
    let clients = clients.clone();
    measure(callers, window, move |caller, number| call(clients[caller % clients.len()].clone(), number)).await
}

async fn call(client: Client, number: u64) {
    let mirrored = client.mirror(format!("bench-{}", number % TENANTS), Strategy::PlatformToGbp).send().await;
    // A call that fails would be a quick one: no figure may rest on it.
    mirrored.expect("accepted");
}

async fn store(environment: &BenchEnvironment, callers: usize, window: Duration, with_ids: bool) -> Measured {
    let stop = CancellationToken::new();
    let acceptor = Arc::new(Acceptor::start(&Store::new(environment.pool.clone()), &stop, |_| {}));
    let measured = measure(callers, window, move |_, number| {
        let acceptor = acceptor.clone();
        async move {
            let new = NewRun {
                id: ID_BY_DATABASE,
                tenant: TenantId::parse(&format!("bench-{}", number % TENANTS)).expect("an id"),
                kind: RunKind { strategy: DomainStrategy::PlatformToGbp, dry_run: false },
                options: RunOptions::default(),
                caller: "bench".to_owned(),
                request_id: with_ids.then(|| RunId::now_v7().to_string()),
                asked: None,
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
