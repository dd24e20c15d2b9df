//! What the benchmarks run on: a durable PostgreSQL of their own, and a server over it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use category_mirror_client::Client;
use sqlx::PgPool;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::pgbench::Pgbench;
use crate::{
    api::Limits,
    commands::{CommandError, scratch::Scratch},
    config::BenchArgs,
    domain::{Backoff, MAX_ADDITIONAL, ProcessFlags},
    gbp::{self, Credentials, Endpoint},
    runner::Settings,
    serve::{Config, Listeners, STREAM_HEARTBEAT, serve},
    store,
};

/// Tenants to accept runs for. More than any window can use up.
pub(super) const TENANTS: u64 = 200_000;
/// Connections of the client: one HTTP/2 connection is one task on either side.
const CONNECTIONS: usize = 4;
const DATABASE_CONNECTIONS: u32 = 20;

/// A PostgreSQL with tenants, and a server that carries nothing out.
pub(super) struct Ground {
    pub(super) pool: PgPool,
    pub(super) pgbench: Pgbench,
    /// Clients, one connection each.
    pub(super) clients: Arc<[Client]>,
    /// The gRPC address.
    pub(super) address: SocketAddr,
    scratch: Scratch,
    stop: CancellationToken,
    service: JoinHandle<Result<(), tonic::transport::Error>>,
}

impl Ground {
    pub(super) async fn open(args: &BenchArgs) -> Result<Self, CommandError> {
        let scratch = Scratch::open("bench", args.pg_bin_dir.as_deref(), DATABASE_CONNECTIONS).await?;
        let pool = scratch.pool.clone();
        let failed = |error: sqlx::Error| CommandError::failed("cannot make tenants", error);
        store::fill(&pool, TENANTS).await.map_err(failed)?;

        let listeners = Listeners { grpc: bind().await?, admin: bind().await? };
        let address = listeners.grpc.local_addr().map_err(|error| CommandError::failed("cannot listen", error))?;
        let (verifier, token) = scratch.key("bench")?;
        let config = Config {
            pool: pool.clone(),
            gbp: nowhere()?,
            verifier,
            flags: ProcessFlags::on(),
            runner: Settings {
                concurrency: 0,
                lease: Duration::from_secs(30),
                cooldown: Duration::ZERO,
                backoff: Backoff::default(),
                grace: Duration::from_secs(1),
                max_additional: MAX_ADDITIONAL,
            },
            max_attempts: 5,
            stream_heartbeat: STREAM_HEARTBEAT,
            // One subject calls as often as it can: that is what is measured.
            limits: Limits { rate: 0, ..Limits::default() },
            tls: None,
        };
        let stop = CancellationToken::new();
        let service = tokio::spawn(serve(config, listeners, stop.clone().cancelled_owned()));
        let client = |_| Client::builder(format!("http://{address}")).token(token.clone()).build();
        let clients: Result<Arc<[Client]>, _> = (0..CONNECTIONS).map(client).collect();
        let clients = clients.map_err(|error| CommandError::failed("client", error))?;
        let pgbench = Pgbench {
            program: scratch.postgres.program("pgbench"),
            options: scratch.postgres.connect_options(),
            folder: scratch.folder().to_owned(),
        };
        Ok(Self { pool, pgbench, clients, address, scratch, stop, service })
    }

    /// Forgets every run: each window begins with an empty queue.
    pub(super) async fn sweep(&self) -> Result<(), CommandError> {
        store::sweep(&self.pool).await.map_err(|error| CommandError::failed("cannot empty the queue", error))
    }

    pub(super) async fn close(self) {
        self.stop.cancel();
        let _ = self.service.await;
        self.scratch.close().await;
    }
}

async fn bind() -> Result<TcpListener, CommandError> {
    TcpListener::bind("127.0.0.1:0").await.map_err(|error| CommandError::failed("cannot listen", error))
}

/// A Google that nobody asks.
fn nowhere() -> Result<gbp::Client, CommandError> {
    let endpoint = Endpoint::parse("http://127.0.0.1:9").map_err(|error| CommandError::failed("endpoint", error))?;
    let credentials =
        Credentials::access_token("bench".to_owned()).map_err(|error| CommandError::failed("token", error))?;
    let config = gbp::Config { endpoint, token_url: None, credentials, timeout: Duration::from_secs(1) };
    gbp::Client::new(config).map_err(|error| CommandError::failed("client", error))
}
