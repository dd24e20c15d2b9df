//! What the benchmarks run on: a durable PostgreSQL of their own, and a server over it.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use category_mirror_client::Client;
use sqlx::PgPool;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::pgbench::Pgbench;
use crate::{
    app::Flags,
    auth::{Grant, Signer, Verifier},
    commands::{CommandError, database::postgres_error},
    config::BenchArgs,
    domain::{Backoff, MAX_ADDITIONAL, Role},
    gbp::{self, Credentials, Endpoint},
    postgres::{Embedded, Options},
    runner::Settings,
    serve::{Config, Listeners, STREAM_HEARTBEAT, serve},
    store::{self, migrations},
};

/// Tenants to accept runs for. More than any window can use up.
pub(super) const TENANTS: u64 = 200_000;
/// Connections of the client: one HTTP/2 connection is one task on either side.
const CONNECTIONS: usize = 4;

/// A PostgreSQL with tenants, and a server that carries nothing out.
pub(super) struct Ground {
    pub(super) pool: PgPool,
    pub(super) pgbench: Pgbench,
    /// Clients, one connection each.
    pub(super) clients: Arc<[Client]>,
    /// The gRPC address.
    pub(super) address: SocketAddr,
    folder: PathBuf,
    postgres: Embedded,
    stop: CancellationToken,
    service: JoinHandle<Result<(), tonic::transport::Error>>,
}

impl Ground {
    pub(super) async fn open(args: &BenchArgs) -> Result<Self, CommandError> {
        let folder = std::env::temp_dir().join(format!("category-mirror-bench-{}", uuid::Uuid::now_v7().simple()));
        let mut options = Options::new(&folder);
        options.bin_dir.clone_from(&args.pg_bin_dir);
        let postgres = Embedded::start(options).await.map_err(postgres_error)?;
        let pool = store::connect(postgres.connect_options(), 20);
        migrations::migrate(&pool).await.map_err(|error| CommandError::failed("cannot make the schema", error))?;
        let failed = |error: sqlx::Error| CommandError::failed("cannot make tenants", error);
        store::fill(&pool, TENANTS).await.map_err(failed)?;

        let listeners = Listeners { grpc: bind().await?, admin: bind().await? };
        let address = listeners.grpc.local_addr().map_err(|error| CommandError::failed("cannot listen", error))?;
        let key = |error| CommandError::failed("development key", error);
        let verifier = Verifier::development(&folder).map_err(key)?;
        let grant =
            Grant { subject: "bench".to_owned(), role: Role::Admin, tenants: None, ttl: Duration::from_secs(86_400) };
        let token =
            Signer::development(&folder).and_then(|signer| signer.sign(&grant, chrono::Utc::now())).map_err(key)?;
        let config = Config {
            pool: pool.clone(),
            gbp: nowhere()?,
            verifier,
            flags: Flags { category_mirroring: true, tenant_platform_category: true, tenant_gbp_category_sync: true },
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
            tls: None,
        };
        let stop = CancellationToken::new();
        let service = tokio::spawn(serve(config, listeners, stop.clone().cancelled_owned()));
        let client = |_| Client::builder(format!("http://{address}")).token(token.clone()).build();
        let clients: Result<Arc<[Client]>, _> = (0..CONNECTIONS).map(client).collect();
        let clients = clients.map_err(|error| CommandError::failed("client", error))?;
        let pgbench = Pgbench {
            program: postgres.program("pgbench"),
            options: postgres.connect_options(),
            folder: folder.clone(),
        };
        Ok(Self { pool, pgbench, clients, address, folder, postgres, stop, service })
    }

    /// Forgets every run: each window begins with an empty queue.
    pub(super) async fn sweep(&self) -> Result<(), CommandError> {
        store::sweep(&self.pool).await.map_err(|error| CommandError::failed("cannot empty the queue", error))
    }

    pub(super) async fn close(self) {
        self.stop.cancel();
        let _ = self.service.await;
        self.postgres.stop().await;
        let _ = tokio::fs::remove_dir_all(&self.folder).await;
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
