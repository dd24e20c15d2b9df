//! What the demo runs on: the real service, with a PostgreSQL and an emulator of its own, in a folder that is removed afterwards.

use std::{net::SocketAddr, time::Duration};

use category_mirror_client::Client;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{sample, screen::Screen};
use crate::{
    api::CallLimits,
    commands::{CommandError, emulator::RunningEmulator, scratch::Scratch},
    config::DemoArgs,
    credential_cipher::CredentialCipher,
    domain::{Backoff, GuardLimits, MAX_ADDITIONAL, ProcessFlags},
    gbp::{self, Credentials, Endpoint},
    runner::RunnerConfig,
    serve::{Listeners, STREAM_HEARTBEAT, ServerConfig, serve},
    store::Retention,
};

const CONNECTIONS: u32 = 10;

/// The running service, its PostgreSQL and their folder.
pub(super) struct DemoEnvironment {
    service: Service,
    scratch: Scratch,
}

/// The service, its Google, and a client of it.
struct Service {
    client: Client,
    grpc: SocketAddr,
    admin: SocketAddr,
    token: String,
    emulator: RunningEmulator,
    stop: CancellationToken,
    task: JoinHandle<Result<(), tokio::task::JoinError>>,
}

impl DemoEnvironment {
    /// Starts everything. If a part of it fails, nothing is left of the others.
    pub(super) async fn open(args: &DemoArgs) -> Result<Self, CommandError> {
        let scratch = Scratch::open("demo", args.pg_bin_dir.as_deref(), CONNECTIONS).await?;
        match Service::start(&scratch).await {
            Ok(service) => Ok(Self { service, scratch }),
            Err(error) => {
                scratch.close().await;
                Err(error)
            }
        }
    }

    /// A client with an administrator's token.
    pub(super) fn client(&self) -> &Client {
        &self.service.client
    }

    /// Makes Google fail once, at one location.
    pub(super) async fn break_google_once(&self) -> Result<(), CommandError> {
        let fault = serde_json::json!({
            "method": "locations.get", "location": sample::SHAKY_LOCATION, "times": 1, "status": 503,
        });
        let faults = format!("{}/_control/faults", self.service.emulator.endpoint);
        let failed = |error| CommandError::failed("the emulator's control interface", error);
        let answer = reqwest::Client::new().post(faults).json(&fault).send().await.map_err(failed)?;
        answer.error_for_status().map_err(failed)?;
        Ok(())
    }

    /// Shows how to go on by hand, with commands to paste.
    pub(super) fn explain(&self, screen: &Screen) {
        let Service { grpc, admin, token, emulator, .. } = &self.service;
        screen.heading("Serving until Ctrl-C. To paste into another terminal:");
        let call = format!("grpcurl -plaintext -H \"authorization: Bearer $TOKEN\" {grpc}");
        let call_with =
            |data: &str| format!("grpcurl -plaintext -H \"authorization: Bearer $TOKEN\" -d '{data}' {grpc}");
        let service = "categorymirror.v1.CategoryMirrorService";
        for line in [
            format!("export TOKEN={token}"),
            format!("export MIRRORCTL_ENDPOINT=http://{grpc} MIRRORCTL_TOKEN=$TOKEN"),
            "mirrorctl sync list".to_owned(),
            "mirrorctl run create harbour --strategy platform_to_gbp --dry-run --wait".to_owned(),
            "mirrorctl run stats".to_owned(),
            format!("grpcurl -plaintext {grpc} list"),
            format!("grpcurl -plaintext {grpc} describe {service}"),
            format!("{call} categorymirror.v1.TenantService/ListTenants"),
            format!(
                "{} {service}/MirrorCategories",
                call_with(r#"{"tenant": "tenants/harbour", "strategy": "STRATEGY_PLATFORM_TO_GBP", "dry_run": true}"#)
            ),
            format!("{call} {service}/GetSyncStats"),
            format!("{} {service}/StreamRunUpdates    # until Ctrl-C", call_with(r#"{"name": "tenants/-"}"#)),
            format!("curl http://{admin}/healthz http://{admin}/metrics"),
            format!("curl {}/_control/locations/2004    # what Google has", emulator.endpoint),
        ] {
            screen.say(&line);
        }
    }

    /// Stops everything, and removes the folder.
    pub(super) async fn close(self) {
        self.service.stop().await;
        self.scratch.close().await;
    }
}

impl Service {
    async fn start(scratch: &Scratch) -> Result<Self, CommandError> {
        let emulator = RunningEmulator::start(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let (verifier, token) = scratch.key("demo")?;

        // The usual ports are worth having for a person who types them; any other will do.
        let listeners = Listeners { grpc: bind(50051).await?, admin: bind(8080).await? };
        let address = |listener: &TcpListener| {
            listener.local_addr().map_err(|error| CommandError::failed("cannot listen", error))
        };
        let (grpc, admin) = (address(&listeners.grpc)?, address(&listeners.admin)?);
        let config = ServerConfig {
            pool: scratch.pool.clone().into(),
            gbp: google(&emulator.endpoint)?,
            cipher: CredentialCipher::default(),
            verifier,
            flags: ProcessFlags::on(),
            runner: settings(),
            max_attempts: 5,
            stream_heartbeat: STREAM_HEARTBEAT,
            limits: CallLimits::default(),
            tls: None,
        };
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve(config, listeners, stop.clone().cancelled_owned()));
        let client = Client::builder(format!("http://{grpc}"))
            .token(token.clone())
            .build()
            .map_err(|error| CommandError::failed("client", error))?;
        Ok(Self { client, grpc, admin, token, emulator, stop, task })
    }

    async fn stop(self) {
        self.stop.cancel();
        match self.task.await {
            Ok(Ok(())) => {}
            ended => tracing::error!(?ended, "the service ended with an error"),
        }
        self.emulator.stop().await;
    }
}

async fn bind(port: u16) -> Result<TcpListener, CommandError> {
    match TcpListener::bind(("127.0.0.1", port)).await {
        Ok(listener) => Ok(listener),
        Err(_) => {
            TcpListener::bind(("127.0.0.1", 0)).await.map_err(|error| CommandError::failed("cannot listen", error))
        }
    }
}

fn google(endpoint: &str) -> Result<gbp::Client, CommandError> {
    let endpoint = Endpoint::parse(endpoint).map_err(|error| CommandError::failed("emulator", error))?;
    let credentials =
        Credentials::access_token("demo".to_owned()).map_err(|error| CommandError::failed("emulator", error))?;
    gbp::Client::new(gbp::GbpConfig { endpoint, token_url: None, credentials, timeout: Duration::from_secs(10) })
        .map_err(|error| CommandError::failed("emulator", error))
}

/// The defaults, but without a cooldown: the demo runs twice in a few seconds, to show that the second time there is nothing to do.
fn settings() -> RunnerConfig {
    RunnerConfig {
        concurrency: 10,
        lease: Duration::from_secs(30),
        cooldown: Duration::ZERO,
        backoff: Backoff::default(),
        grace: Duration::from_secs(5),
        max_additional: MAX_ADDITIONAL,
        retention: Retention::default(),
        guards: GuardLimits::default(),
    }
}
