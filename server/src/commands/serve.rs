//! `category-mirror serve`

use std::{
    pin::pin,
    sync::OnceLock,
    time::{Duration, Instant},
};

use tokio::{net::TcpListener, sync::mpsc, task::AbortHandle};

use super::{
    CommandError,
    database::Database,
    emulator::RunningEmulator,
    signals::{Hangup, shutdown_signal},
};
use crate::{
    api::CallLimits,
    auth::Verifier,
    config::{ConfigError, GbpChoice, ServeArgs, warn_of_arguments},
    connections, gbp,
    key_files::{Watched, keep_current},
    serve::{Listeners, STREAM_HEARTBEAT, ServerConfig, serve},
    spans::Exporter,
    web,
};

/// How long the last spans may take in any case, however long the drain took.
const MIN_SPAN_FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves until a signal ends it, also before it serves. `exporter` is ended when all else has. `secret_arguments` are warned of.
pub(super) async fn run(
    args: ServeArgs,
    secret_arguments: &[&str],
    exporter: Option<Exporter>,
) -> Result<(), CommandError> {
    // From here on SIGHUP does not end the process.
    let (reload, reloads) = mpsc::channel(1);
    let mut shutdown = pin!(shutdown_signal(Hangup::Reloads(reload)));
    // Before anything counts: what is counted without a recorder is lost.
    let _ = web::recorder();
    let started = tokio::select! {
        started = start(&args, secret_arguments) => started?,
        () = &mut shutdown => {
            // Nothing was accepted yet. The kernel stops an embedded PostgreSQL, and what it has not finished, the next start does.
            tracing::info!("stopped before it served");
            return Ok(());
        }
    };
    let Started { config, listeners, files, database, emulator } = started;
    let _watching = AbortOnDrop(tokio::spawn(keep_current(files, reloads)).abort_handle());

    let grace = config.runner.grace;
    let addresses = (listeners.grpc.local_addr(), listeners.admin.local_addr());
    if let (Ok(grpc), Ok(admin)) = addresses {
        tracing::info!(%grpc, %admin, flags = ?config.flags, concurrency = config.runner.concurrency, "serving");
    }
    let told = OnceLock::new();
    let shutdown = async {
        shutdown.await;
        let _ = told.set(Instant::now());
    };
    let served = serve(config, listeners, shutdown).await;
    database.close().await;
    if let Some(emulator) = emulator {
        emulator.stop().await;
    }
    if let Some(exporter) = exporter {
        let left = told.get().map_or(Duration::ZERO, |told| grace.saturating_sub(told.elapsed()));
        exporter.end(left.max(MIN_SPAN_FLUSH_TIMEOUT)).await;
    }
    served.map_err(|error| CommandError::failed("cannot serve", error))
}

/// What a server is made of, ready to serve.
struct Started {
    config: ServerConfig,
    listeners: Listeners,
    /// Files that are read again when they change.
    files: Vec<Watched>,
    database: Database,
    emulator: Option<RunningEmulator>,
}

/// Checks the settings, and starts what serving needs. Waits for the identity provider and for the database. Cancel-safe: what was started
/// ends with the future.
async fn start(args: &ServeArgs, secret_arguments: &[&str]) -> Result<Started, CommandError> {
    // Everything that can be wrong with the settings, before anything is started.
    require_settings(args)?;
    let emulator = match args.gbp.choice(args.dev)? {
        GbpChoice::Emulator => Some(args.gbp.gbp_emulator_listen_addr),
        GbpChoice::Endpoint(_) => None,
    };
    args.listen.check_exposure(args.dev, emulator)?;
    args.database.url()?;
    args.database.direct_url()?;
    let runner = args.runner.settings()?;
    let timeout = args.gbp.timeout(runner.lease)?;
    let (tls, tls_files) = args.listen.tls()?.unzip();
    let limits = within_descriptors(args.limits.limits(), connections::raise_descriptor_limit());
    let (verifier, verifier_file) = verifier(args).await?;
    let development = if args.dev { Some(args.database.data_dir(true)?) } else { None };
    let (cipher, vault_file) = args.credentials.cipher(development.as_deref())?;
    let listeners = Listeners {
        grpc: bind("LISTEN_ADDR", args.listen.listen_addr).await?,
        admin: bind("ADMIN_LISTEN_ADDR", args.listen.admin_listen_addr).await?,
    };
    if args.dev {
        tracing::warn!("--dev: what is not configured is made for trying out; do not serve real stores with it");
        if let Some(folder) = &development {
            tracing::warn!(folder = %folder.display(), "the development key and PostgreSQL are kept in this folder");
        }
    }
    let (gbp, gbp_file, emulator) = google(args, timeout).await?;
    // Not before: if a setting is wrong, that is the one line.
    args.warn_of_exposed_files();
    warn_of_arguments(secret_arguments);
    let database = Database::open(&args.database, args.dev).await?;
    let files = tls_files.into_iter().chain(verifier_file).chain(vault_file).chain(gbp_file).collect();
    let config = ServerConfig {
        pool: database.pools.clone(),
        gbp,
        cipher,
        verifier,
        flags: args.flags.process_flags(args.dev),
        runner,
        max_attempts: args.runner.runner_attempts,
        stream_heartbeat: STREAM_HEARTBEAT,
        limits,
        tls,
    };
    Ok(Started { config, listeners, files, database, emulator })
}

/// Lowers the number of connections to what the process can open beside everything else it needs.
fn within_descriptors(mut limits: CallLimits, descriptors: u64) -> CallLimits {
    let left = usize::try_from(descriptors.saturating_sub(connections::reserved_descriptors())).unwrap_or(usize::MAX);
    let connections = &mut limits.connections.max_connections;
    if *connections > left {
        // Half of a number of descriptors that is too small for both: the other half is the server's own.
        let lowered = left.max(usize::try_from(descriptors / 2).unwrap_or(usize::MAX)).clamp(1, *connections);
        tracing::warn!(
            descriptors,
            wanted = *connections,
            max_connections = lowered,
            "fewer connections than MAX_CONNECTIONS: the process may open too few files"
        );
        *connections = lowered;
    }
    limits
}

/// Names everything that is missing at once.
fn require_settings(args: &ServeArgs) -> Result<(), ConfigError> {
    if args.dev {
        return Ok(());
    }
    let mut missing = Vec::new();
    if !args.database.has_url() && args.database.data_dir.is_none() {
        missing.push("DATABASE_URL or DATA_DIR (which database)");
    }
    if args.gbp.gbp_endpoint.is_none() {
        missing.push("GBP_ENDPOINT (which Google Business Profile)");
    }
    if !args.auth.has_verification_key() {
        missing.push("AUTH_HS256_SECRET_FILE, AUTH_PUBLIC_KEY_FILE, AUTH_JWKS_FILE or AUTH_JWKS_URL (which keys)");
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(ConfigError(format!("not configured: {}; to try it out, `serve --dev`", missing.join(", "))))
}

async fn verifier(args: &ServeArgs) -> Result<(Verifier, Option<Watched>), CommandError> {
    if args.auth.has_verification_key() {
        return Verifier::load(&args.auth).await.map_err(|error| ConfigError(error.to_string()).into());
    }
    let verifier = Verifier::development(&args.database.data_dir(args.dev)?);
    verifier.map(|verifier| (verifier, None)).map_err(|error| ConfigError(error.to_string()).into())
}

/// Ends a task with whatever it works for.
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn bind(name: &str, address: std::net::SocketAddr) -> Result<TcpListener, ConfigError> {
    TcpListener::bind(address).await.map_err(|error| ConfigError(format!("{name}={address}: {error}")))
}

async fn google(
    args: &ServeArgs,
    timeout: Duration,
) -> Result<(gbp::Client, Option<Watched>, Option<RunningEmulator>), CommandError> {
    match args.gbp.choice(args.dev)? {
        GbpChoice::Endpoint(endpoint) => {
            let (client, file) = args.gbp.client(&endpoint, false, timeout)?;
            Ok((client, file, None))
        }
        GbpChoice::Emulator => {
            let emulator = RunningEmulator::start(args.gbp.gbp_emulator_listen_addr).await?;
            tracing::warn!(
                endpoint = emulator.endpoint,
                "using the built-in emulator, not Google; it forgets its data when this server ends"
            );
            let (client, file) = args.gbp.client(&emulator.endpoint, true, timeout)?;
            Ok((client, file, Some(emulator)))
        }
    }
}
