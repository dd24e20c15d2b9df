//! What the benchmarks run on: a durable PostgreSQL of their own, and a server over it.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use category_mirror::{
    api::CallLimits,
    auth::Verifier,
    commands::{CommandError, Scratch},
    credential_cipher::CredentialCipher,
    domain::{Backoff, GuardLimits, MAX_ADDITIONAL, ProcessFlags},
    gbp,
    runner::RunnerConfig,
    serve::{Listeners, STREAM_HEARTBEAT, ServerConfig, serve},
    store::{self, Store},
};
use category_mirror_client::Client;
use sqlx::{ConnectOptions, PgPool};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{args::BenchArgs, pgbench::Pgbench};

/// Tenants to accept runs for. More than any window can use up.
pub(crate) const TENANTS: u64 = 200_000;
/// Connections of a service's clients, which its callers share: one HTTP/2 connection is one task on either side.
pub(crate) const CONNECTIONS: usize = 4;
const DATABASE_MAX_CONNECTIONS: u32 = 20;

/// A PostgreSQL with tenants.
pub(crate) struct BenchEnvironment {
    pub(crate) pool: PgPool,
    pub(crate) pgbench: Pgbench,
    scratch: Scratch,
}

/// Where a server listens, and a token that it believes.
pub(crate) struct ServerEndpoint {
    address: SocketAddr,
    token: String,
}

/// A server over it, and clients of that server.
pub(crate) struct Service {
    pub(crate) service_layers: ServerEndpoint,
    /// Where its health is told.
    pub(crate) admin: SocketAddr,
    /// Clients, one connection each.
    pub(crate) clients: Arc<[Client]>,
    stop: CancellationToken,
    task: JoinHandle<Result<(), tokio::task::JoinError>>,
}

impl BenchEnvironment {
    pub(crate) async fn open(args: &BenchArgs, tenants: u64) -> Result<Self, CommandError> {
        let scratch = Scratch::open("bench", args.pg_bin_dir.as_deref(), DATABASE_MAX_CONNECTIONS).await?;
        let pool = scratch.pool.clone();
        let failed = |error: sqlx::Error| CommandError::failed("cannot make tenants", error);
        store::fill(&pool, tenants).await.map_err(failed)?;
        prepare(&pool).await?;
        let pgbench = Pgbench {
            program: scratch.postgres.program("pgbench"),
            options: scratch.postgres.connect_options(),
            folder: scratch.folder().to_owned(),
        };
        Ok(Self { pool, pgbench, scratch })
    }

    /// A second database on the same PostgreSQL, without tenants.
    pub(crate) async fn beside(&self, name: &str) -> Result<PgPool, CommandError> {
        let pool = self.scratch.beside(name, DATABASE_MAX_CONNECTIONS).await?;
        prepare(&pool).await?;
        Ok(pool)
    }

    /// Drops it again.
    pub(crate) async fn drop_beside(&self, name: &str) -> Result<(), CommandError> {
        self.scratch.drop_beside(name).await
    }

    /// Starts a server that carries out `concurrency` runs at once.
    pub(crate) async fn serve(&self, concurrency: usize, google: gbp::Client) -> Result<Service, CommandError> {
        let listeners = Listeners { grpc: bind().await?, admin: bind().await? };
        let local = |listener: &TcpListener| {
            listener.local_addr().map_err(|error| CommandError::failed("cannot listen", error))
        };
        let (address, admin) = (local(&listeners.grpc)?, local(&listeners.admin)?);
        let (verifier, token) = self.key()?;
        let config = ServerConfig {
            pool: store::connect(self.scratch.postgres.connect_options(), DATABASE_MAX_CONNECTIONS).into(),
            gbp: google,
            cipher: CredentialCipher::default(),
            verifier,
            flags: ProcessFlags::on(),
            runner: settings(concurrency),
            max_attempts: 5,
            stream_heartbeat: STREAM_HEARTBEAT,
            limits: limits(),
            tls: None,
        };
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve(config, listeners, stop.clone().cancelled_owned()));
        let service_layers = ServerEndpoint::new(address, token);
        Ok(Service { clients: service_layers.clients(CONNECTIONS)?, service_layers, admin, stop, task })
    }

    /// Who is believed, and a token of an administrator.
    pub(crate) fn key(&self) -> Result<(Verifier, String), CommandError> {
        self.scratch.key("bench")
    }

    /// The database's URL, for a server in a process of its own.
    pub(crate) fn url(&self) -> String {
        self.scratch.postgres.connect_options().to_url_lossy().into()
    }

    /// The folder of the database, and of the development key.
    pub(crate) fn folder(&self) -> &Path {
        self.scratch.folder()
    }

    /// A token that a server with this folder's development key believes.
    pub(crate) fn token(&self) -> Result<String, CommandError> {
        Ok(self.scratch.key("bench")?.1)
    }

    /// The same for a subject.
    pub(crate) fn token_of(&self, subject: &str) -> Result<String, CommandError> {
        Ok(self.scratch.key(subject)?.1)
    }

    /// Forgets every run: each window begins with an empty queue.
    pub(crate) async fn clear_runs(&self) -> Result<(), CommandError> {
        store::clear_runs(&self.pool).await.map_err(|error| CommandError::failed("cannot empty the queue", error))
    }

    pub(crate) async fn close(self) {
        self.scratch.close().await;
    }
}

impl Service {
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        let _ = self.task.await;
    }
}

async fn prepare(pool: &PgPool) -> Result<(), CommandError> {
    let prepared = Store::new(pool.clone()).prepare_history(None).await;
    prepared.map_err(|error| CommandError::failed("cannot prepare the history", error))
}

/// A runner without pauses.
pub(crate) fn settings(concurrency: usize) -> RunnerConfig {
    RunnerConfig {
        concurrency,
        lease: Duration::from_secs(30),
        cooldown: Duration::ZERO,
        backoff: Backoff::default(),
        grace: Duration::from_secs(5),
        max_additional: MAX_ADDITIONAL,
        retention: store::Retention::default(),
        guards: GuardLimits::OPEN,
    }
}

/// One subject calls as often as it can: that is what is measured.
pub(crate) fn limits() -> CallLimits {
    CallLimits { rate: 0, ..CallLimits::default() }
}

impl ServerEndpoint {
    pub(crate) fn new(address: SocketAddr, token: String) -> Self {
        Self { address, token }
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Clients, one connection each.
    pub(crate) fn clients(&self, connections: usize) -> Result<Arc<[Client]>, CommandError> {
        let client = |_| Client::builder(format!("http://{}", self.address)).token(self.token.clone()).build();
        let clients: Result<_, _> = (0..connections).map(client).collect();
        clients.map_err(|error| CommandError::failed("client", error))
    }
}

pub(crate) async fn bind() -> Result<TcpListener, CommandError> {
    TcpListener::bind("127.0.0.1:0").await.map_err(|error| CommandError::failed("cannot listen", error))
}
