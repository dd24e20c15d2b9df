//! The service as a whole: from its parts and two listeners to the end of its drain.

use std::{sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    sync::watch,
    task::JoinError,
    time::{Instant, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tonic_health::server::HealthReporter;

use crate::{
    api::{self, AbandonedCalls, CallLimits, Drain},
    app::{AccountClients, App, FlagCache, RunLimits, TaxonomyImportConfig},
    auth::Verifier,
    connections::{self, Connections, Http2, Parties, Port},
    credential_cipher::CredentialCipher,
    domain::ProcessFlags,
    gbp,
    runner::{Runner, RunnerConfig},
    store::{Acceptor, Pools, Store},
    tls::Tls,
    wake::{Topic, WakeUp, WakeUpBus},
    web,
};

/// A stream's usual heartbeat: below the 30 s and more after which proxies cut what is quiet.
pub const STREAM_HEARTBEAT: Duration = Duration::from_secs(15);
/// How often the database is asked whether it takes writes.
const HEALTH_INTERVAL: Duration = Duration::from_secs(1);
/// How long the last calls on the admin port may take: nothing there is slow, and nobody may hold up the stop.
const ADMIN_GRACE: Duration = Duration::from_secs(1);
/// A client that vanished without a word is noticed after the interval and the timeout.
const KEEPALIVE_INTERVAL_AND_TIMEOUT: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(20));
/// Calls at once on one connection, besides streams. Further ones wait at the client until one of these is answered.
const MAX_CALLS_PER_CONNECTION: u32 = 256;
/// Bytes of a call's headers, counted as HTTP/2 does: room for a token with some hundred tenants in it.
const MAX_HEADERS: u32 = 16 * 1024;
/// Calls that a client has taken back before we have seen them. One that does this without end (CVE-2023-44487) loses its connection.
const MAX_RESETS: usize = 64;
/// Calls that were refused because they broke the protocol, before the connection is given up.
const MAX_LOCAL_RESETS: usize = 256;

/// Bytes that one connection may send before the server reads them. Whoever sends without being read holds no more than this.
const CONNECTION_WINDOW_BYTES: u32 = 256 * 1024;
/// The same of one request.
const STREAM_WINDOW_BYTES: u32 = 128 * 1024;
/// Bytes of one answer that wait in the transport: two frames of the largest size beyond what is on its way.
const MAX_SEND_BUFFER: usize = 64 * 1024;

/// What the service is made of.
pub struct ServerConfig {
    /// The database, migrated.
    pub pool: Pools,
    /// Google, in the name of whoever has no credentials of their own.
    pub gbp: gbp::Client,
    /// The keys of accounts' own credentials.
    pub cipher: CredentialCipher,
    /// Whose tokens are believed.
    pub verifier: Verifier,
    /// What this process says about feature flags by itself.
    pub flags: ProcessFlags,
    /// How runs are carried out.
    pub runner: RunnerConfig,
    /// How many attempts a new run gets.
    pub max_attempts: i32,
    /// How long a stream may be quiet; [`STREAM_HEARTBEAT`] suits proxies.
    pub stream_heartbeat: Duration,
    /// How much is let in.
    pub limits: CallLimits,
    /// How connections are encrypted; `None`: they are not.
    pub tls: Option<Tls>,
}

/// Where the service listens: bound by the caller, so that tests own the ports.
#[derive(Debug)]
pub struct Listeners {
    /// gRPC.
    pub grpc: TcpListener,
    /// Health and metrics.
    pub admin: TcpListener,
}

/// Serves until `shutdown`, then drains: new calls are refused, streams end, runs finish within the grace period or are released.
///
/// # Errors
/// A task of the listener that panicked.
pub async fn serve(
    config: ServerConfig,
    listeners: Listeners,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), JoinError> {
    let ServerConfig { pool, gbp, cipher, verifier, flags, runner, max_attempts, stream_heartbeat, limits, tls } =
        config;
    let limits = CallLimits { database_connections: pool.max_connections(), ..limits };
    // Two stops: the drain, and the end of what serves until everything else has ended.
    let drain = CancellationToken::new();
    let end = CancellationToken::new();
    let _stop_all = (drain.clone().drop_guard(), end.clone().drop_guard());

    let wake = WakeUpBus::start(pool.clone(), end.clone());
    let store = Store::new(pool.clone());
    let telling = wake.clone();
    let acceptor = Acceptor::start(&store, &end, move |runs| {
        telling.send(WakeUp::RunsReady);
        telling.send(WakeUp::RunsChanged(runs.into()));
    });
    let flags = FlagCache::new(store.clone(), flags);
    tokio::spawn(end.clone().run_until_cancelled_owned(flags.clone().keep_fresh(wake.subscribe(Topic::Flags))));
    let taxonomy = TaxonomyImportConfig { reader: gbp.taxonomy(), backoff: runner.backoff };
    let quota = gbp.quota();
    let accounts = AccountClients::new(store.clone(), gbp, cipher);
    let runs = RunLimits {
        max_attempts,
        max_additional: runner.max_additional,
        max_live_batches: limits.max_batches_per_subject,
    };
    let app = App::new(store.clone(), acceptor, wake.clone(), flags.clone(), accounts.clone(), runs, taxonomy);
    let feeding = app.feed().clone().keep_fed(wake.subscribe(Topic::Changes), stream_heartbeat);
    tokio::spawn(end.clone().run_until_cancelled_owned(feeding));
    tokio::spawn(end.clone().run_until_cancelled_owned(web::sample(store.clone())));

    let verifier = Arc::new(verifier);
    let (reporter, health) = tonic_health::server::health_reporter();
    let (serving, is_serving) = watch::channel(false);
    // Until the database was asked, nobody knows.
    api::set_health(&reporter, false).await;
    tokio::spawn(end.clone().run_until_cancelled_owned(watch_health(
        app.clone(),
        Arc::clone(&verifier),
        reporter,
        serving,
        drain.clone(),
    )));

    // The requests of the admin port have no bodies.
    let admin_connections = Connections::new(Port::Admin, limits.connections.admin(), 0);
    let admin = web::router(is_serving.clone(), quota);
    let mut admin = tokio::spawn(connections::serve_admin(listeners.admin, admin_connections, admin, end.clone()));
    let runner_task = tokio::spawn(Runner::new(store.clone(), accounts, wake, flags, runner).run(drain.clone()));
    let abandoned = AbandonedCalls::default();
    let draining = Drain { begins: drain.clone(), abandoned: abandoned.clone() };
    let parties = Parties {
        service: api::router(app, verifier, health, stream_heartbeat, &limits, is_serving, draining),
        tls,
        http2: http2(&limits),
        sift: api::sift_headers,
        connections: grpc_connections(&limits),
        drain: drain.clone(),
    };
    let mut grpc = tokio::spawn(connections::serve_grpc(listeners.grpc, parties));

    let served = tokio::select! {
        () = shutdown => {
            // Before it is said: whoever reads it finds new calls refused.
            drain.cancel();
            tracing::info!(grace = ?runner.grace, "draining");
            None
        }
        served = &mut grpc => Some(served),
    };
    drain.cancel();
    let drain_ends_at = Instant::now() + runner.grace;
    let served = match served {
        Some(served) => Ok(served),
        // Open streams end by themselves; a client that holds a call open is cut off.
        None => timeout_at(drain_ends_at, &mut grpc).await,
    };
    if served.is_err() {
        tracing::warn!("cut off calls that did not end within the grace period");
        grpc.abort();
    }
    abandoned.finish(drain_ends_at).await;
    if runner_task.await.is_err() {
        tracing::error!("the runner did not end well");
    }
    end.cancel();
    if timeout(ADMIN_GRACE, &mut admin).await.is_err() {
        tracing::warn!("cut off calls on the admin port");
        admin.abort();
    }
    store.close().await;
    tracing::info!("stopped");
    // A listener that was cut off has ended, too.
    served.unwrap_or(Ok(()))
}

/// The bounds of HTTP/2, which hold before anything of ours is asked.
#[must_use]
pub fn http2(limits: &CallLimits) -> Http2 {
    // A subject's streams do not leave their own calls waiting on the same connection.
    let streams =
        u32::try_from(limits.max_streams_per_subject).unwrap_or(u32::MAX).saturating_add(MAX_CALLS_PER_CONNECTION);
    Http2 {
        keepalive_interval: KEEPALIVE_INTERVAL_AND_TIMEOUT.0,
        keepalive_timeout: KEEPALIVE_INTERVAL_AND_TIMEOUT.1,
        max_concurrent_streams: streams,
        max_header_list_size: MAX_HEADERS,
        max_pending_accept_reset_streams: MAX_RESETS,
        max_local_error_reset_streams: MAX_LOCAL_RESETS,
        connection_window: CONNECTION_WINDOW_BYTES,
        stream_window: STREAM_WINDOW_BYTES,
        max_send_buffer: MAX_SEND_BUFFER,
    }
}

/// The connections of the gRPC port, of which there are none yet.
#[must_use]
pub fn grpc_connections(limits: &CallLimits) -> Connections {
    Connections::new(Port::Grpc, limits.connections, api::connection_memory(limits))
}

/// Keeps health true: serving means that the database takes writes, that there are fresh keys to verify tokens with, and that the server is
/// not draining. Its pings watch over every connection of the store.
async fn watch_health(
    app: App,
    verifier: Arc<Verifier>,
    reporter: HealthReporter,
    serving: watch::Sender<bool>,
    drain: CancellationToken,
) {
    let mut interval = tokio::time::interval(HEALTH_INTERVAL);
    loop {
        let is_draining = drain.is_cancelled();
        // A drain waits for no database that is silent. The database is asked whether there are keys or not.
        let pinged = if is_draining { None } else { drain.run_until_cancelled(app.ping()).await };
        let is_up = pinged.is_some_and(|pinged| pinged.is_ok()) && verifier.is_ready();
        if serving.send_replace(is_up) != is_up {
            tracing::info!(serving = is_up, "health changed");
            // On a change only: each time, every watcher is told.
            api::set_health(&reporter, is_up).await;
        }
        if is_draining {
            // Whoever watches has been told; a watch that stayed open would hold the drain up.
            api::end_health_watches(reporter).await;
            break;
        }
        tokio::select! {
            _ = interval.tick() => {}
            () = drain.cancelled() => {}
        }
    }
    // The drain has statements to make, and must not wait for a database that falls silent now.
    loop {
        interval.tick().await;
        let _ = app.ping().await;
    }
}
