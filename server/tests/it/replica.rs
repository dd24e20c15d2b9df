//! Another server on the database of a test's service, and a door between a server and Google.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use category_mirror::{
    auth::Verifier,
    credential_cipher::CredentialCipher,
    domain::{AuthorizedUser, Role},
    gbp::{self, Credentials, Endpoint},
    serve::{Listeners, ServerConfig, serve},
};
use category_mirror_client::Client;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::service::{Service, Setup};

/// A server that accepts runs and carries none out: they stay queued until a [`replica`] works.
pub(crate) fn idle() -> Setup {
    let mut setup = Setup::default();
    setup.runner.concurrency = 0;
    setup
}

/// Another server. It ends with the service, or before.
pub(crate) struct Replica {
    /// A client with an administrator's token.
    pub(crate) client: Client,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Replica {
    /// Stops it as a supervisor would, and waits until it has drained.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.expect("stopped");
    }
}

/// Starts another server on the service's database, which finds Google at `google`.
pub(crate) async fn replica(service: &Service, setup: Setup, google: &str) -> Replica {
    replica_with_keys(service, setup, google, cipher(service)).await
}

/// The same, with other keys for accounts' own credentials than the service's.
pub(crate) async fn replica_with_keys(
    service: &Service,
    setup: Setup,
    google: &str,
    cipher: CredentialCipher,
) -> Replica {
    let credentials = Credentials::access_token("only-for-tests".to_owned()).expect("a token");
    replica_with(service, setup, gbp_config(google, credentials), cipher).await
}

fn cipher(service: &Service) -> CredentialCipher {
    CredentialCipher::development(&service.key_folder()).expect("a key")
}

/// The same, with a refresh token instead of a fixed access token.
pub(crate) async fn renewing_replica(service: &Service, setup: Setup) -> Replica {
    let credentials = Credentials::AuthorizedUser(AuthorizedUser {
        client_id: "client".to_owned(),
        client_secret: "only-for-tests-client-secret".to_owned().into(),
        refresh_token: "only-for-tests-refresh-token".to_owned().into(),
    });
    replica_with(service, setup, gbp_config(&service.google.endpoint, credentials), cipher(service)).await
}

fn gbp_config(google: &str, credentials: Credentials) -> gbp::GbpConfig {
    let endpoint = Endpoint::parse(google).expect("an endpoint");
    let token_url = Some(Endpoint::parse(&format!("{google}/token")).expect("an endpoint"));
    gbp::GbpConfig { endpoint, token_url, credentials, timeout: Duration::from_secs(10) }
}

async fn replica_with(service: &Service, setup: Setup, gbp: gbp::GbpConfig, cipher: CredentialCipher) -> Replica {
    let listeners = Listeners { grpc: bind().await, admin: bind().await };
    let address = listeners.grpc.local_addr().expect("an address");
    let config = ServerConfig {
        pool: service.database().pools(10),
        gbp: gbp::Client::new(gbp).expect("a client"),
        cipher,
        verifier: Verifier::development(&service.key_folder()).expect("a key"),
        flags: setup.flags,
        runner: setup.runner,
        max_attempts: setup.max_attempts,
        stream_heartbeat: setup.stream_heartbeat,
        limits: setup.limits,
        tls: None,
    };
    let stop = service.stop.child_token();
    let served = serve(config, listeners, stop.clone().cancelled_owned());
    let task = tokio::spawn(async move { served.await.expect("served") });
    let token = service.token(Role::Admin, "tester", None);
    let client = Client::builder(format!("http://{address}")).token(token).build().expect("a client");
    Replica { client, stop, task }
}

async fn bind() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("a port")
}

/// Stands between a server and Google: updates wait at it until it is opened, everything else passes. It sees what is sent.
pub(crate) struct Door {
    /// Its base URL.
    pub(crate) endpoint: String,
    state: Arc<State>,
}

/// What a door stops.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LocationViews {
    Request,
    Answer,
}

struct State {
    /// How the requests begin that are stopped, or whose answers are.
    stops: &'static str,
    side: LocationViews,
    waiting: Semaphore,
    open: CancellationToken,
    sent: Mutex<String>,
}

impl Door {
    /// Builds a closed door in front of `google`: updates wait before it.
    pub(crate) async fn closed(google: &str) -> Self {
        Self::build(google, "PATCH ", LocationViews::Request).await
    }

    /// Builds a closed door behind `google`: what it answers to a look at a location waits, and says how the location was.
    pub(crate) async fn closed_to_answers(google: &str) -> Self {
        Self::build(google, "GET /v1/locations/", LocationViews::Answer).await
    }

    async fn build(google: &str, stops: &'static str, side: LocationViews) -> Self {
        let listener = bind().await;
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let (waiting, open) = (Semaphore::new(0), CancellationToken::new());
        let state = State { stops, side, waiting, open, sent: Mutex::default() };
        let state = Arc::new(state);
        let (google, door) = (google.trim_start_matches("http://").to_owned(), state.clone());
        tokio::spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                let google = TcpStream::connect(&google).await.expect("connected");
                tokio::spawn(pass(caller, google, door.clone()));
            }
        });
        Self { endpoint, state }
    }

    /// Waits until an update is waiting.
    pub(crate) async fn update_waits(&self) {
        self.somebody_waits().await;
    }

    /// Waits until a request, or an answer, is waiting.
    pub(crate) async fn somebody_waits(&self) {
        self.state.waiting.acquire().await.expect("never closed").forget();
    }

    /// Opens the door for good.
    pub(crate) fn open(&self) {
        self.state.open.cancel();
    }

    /// The values of a header of all requests, in order.
    pub(crate) fn headers(&self, name: &str) -> Vec<String> {
        let sent = self.state.sent.lock().expect("not poisoned");
        let headers = sent.lines().filter_map(|line| line.split_once(": "));
        headers.filter(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).collect()
    }

    /// The bodies of the updates, in order.
    pub(crate) fn updates(&self) -> Vec<serde_json::Value> {
        let sent = self.state.sent.lock().expect("not poisoned");
        let bodies = sent.split("PATCH /").skip(1).filter_map(|request| request.split_once("\r\n\r\n"));
        let values = bodies.map(|(_, body)| serde_json::Deserializer::from_str(body).into_iter().next());
        values.map(|body| body.expect("a body").expect("JSON")).collect()
    }
}

impl State {
    async fn wait(&self) {
        self.waiting.add_permits(1);
        self.open.cancelled().await;
    }
}

/// HTTP/1 sends one request at a time on a connection, so a request begins where a read begins.
async fn pass(caller: TcpStream, google: TcpStream, door: Arc<State>) {
    let (mut from_caller, mut to_caller) = caller.into_split();
    let (mut from_google, mut to_google) = google.into_split();
    let asked = Arc::new(AtomicBool::new(false));
    let (is_stopped, behind) = (asked.clone(), door.clone());
    let back = tokio::spawn(async move {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from_google.read(&mut buffer).await {
            if behind.side == LocationViews::Answer && is_stopped.load(Ordering::SeqCst) {
                behind.wait().await;
            }
            if to_caller.write_all(&buffer[..length]).await.is_err() {
                break;
            }
        }
    });
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from_caller.read(&mut buffer).await {
        let chunk = &buffer[..length];
        door.sent.lock().expect("not poisoned").push_str(std::str::from_utf8(chunk).expect("text"));
        let stops = chunk.starts_with(door.stops.as_bytes());
        asked.store(stops, Ordering::SeqCst);
        if stops && door.side == LocationViews::Request {
            door.wait().await;
        }
        if to_google.write_all(chunk).await.is_err() {
            break;
        }
    }
    drop(to_google);
    let _ = back.await;
}
