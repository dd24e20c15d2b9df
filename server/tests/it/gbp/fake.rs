//! Servers that stand in for Google and its token endpoint.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderMap, Method, Response},
    serve::ListenerExt,
};
use category_mirror::{
    domain::{AuthorizedUser, CategorySet, GbpCategory, GbpWriteCapability, Gcid, LocationId, RunKind, Strategy},
    gbp::{Client, Credentials, Deadline, Endpoint, GbpConfig},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// The fixed access token, the client secret and the refresh token all hold this: it must show nowhere.
pub(super) const HUSH: &str = "hush-hush";

/// The deadline of a write for which it is never too late.
pub(super) const AT_ANY_TIME: Deadline<'_> = &|| Some(Instant::now() + Duration::from_secs(3600));

/// A request that arrived.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) method: Method,
    pub(super) uri: String,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Seen {
    pub(super) fn authorization(&self) -> &str {
        self.headers["authorization"].to_str().expect("ascii")
    }
}

/// A server that answers from a function and remembers what it was asked. It ends with the test's runtime.
pub(super) struct Fake {
    pub(super) endpoint: Endpoint,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
}

impl Fake {
    pub(super) async fn start(answer: impl Fn(&Seen) -> Response<Body> + Send + Sync + 'static) -> Self {
        let (listener, endpoint) = listen().await;
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (all, answer) = (seen.clone(), Arc::new(answer));
        let app = Router::new().fallback(move |request: Request| {
            let (all, answer) = (all.clone(), answer.clone());
            async move {
                let (parts, body) = request.into_parts();
                let body = to_bytes(body, usize::MAX).await.expect("a whole request");
                let body = String::from_utf8(body.to_vec()).expect("text");
                let seen = Seen { method: parts.method, uri: parts.uri.to_string(), headers: parts.headers, body };
                let response = answer(&seen);
                all.lock().expect("not poisoned").push(seen);
                response
            }
        });
        let connections: Arc<AtomicUsize> = Arc::default();
        let count = connections.clone();
        let listener = listener.tap_io(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { endpoint, seen, connections }
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("not poisoned").clone()
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

/// A server that reads one request, writes `answer` as it is, and closes the connection; without an answer it waits for the caller to go.
pub(super) async fn raw(answer: Option<String>) -> Endpoint {
    let (listener, endpoint) = listen().await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        read_request(&mut stream).await;
        match answer {
            Some(answer) => stream.write_all(answer.as_bytes()).await.expect("written"),
            None => assert_eq!(stream.read(&mut [0]).await.expect("closed"), 0),
        }
    });
    endpoint
}

/// An endpoint at which nobody listens.
pub(super) async fn nobody() -> Endpoint {
    listen().await.1
}

async fn listen() -> (TcpListener, Endpoint) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    (listener, Endpoint::parse(&format!("http://{address}")).expect("a URL"))
}

async fn read_request(stream: &mut TcpStream) {
    let mut request = String::new();
    let mut buffer = [0; 4096];
    loop {
        let length = stream.read(&mut buffer).await.expect("readable");
        assert_ne!(length, 0, "the request broke off: {request}");
        request.push_str(std::str::from_utf8(&buffer[..length]).expect("text"));
        // A PATCH is complete with the last brace of its body, a GET with its empty line.
        if request.ends_with("}}") || (request.starts_with("GET") && request.ends_with("\r\n\r\n")) {
            return;
        }
    }
}

pub(super) fn answer(status: u16, body: impl ToString) -> Response<Body> {
    let response = Response::builder().status(status).header("content-type", "application/json; charset=UTF-8");
    response.body(Body::from(body.to_string())).expect("a response")
}

/// Google's error with one `ErrorInfo`, as recorded.
pub(super) fn error(status: u16, reason: &str, metadata: Value) -> Value {
    json!({"error": {
        "code": status,
        "message": "Request contains an invalid argument.",
        "status": "INVALID_ARGUMENT",
        "details": [{
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": reason,
            "domain": "mybusinessbusinessinformation.googleapis.com",
            "metadata": metadata,
        }],
    }})
}

/// The location `locations/1` as Google answers it, with a field that nobody knows yet.
pub(super) fn location() -> Value {
    location_of("1")
}

/// The same at another id.
pub(super) fn location_of(id: &str) -> Value {
    json!({
        "name": format!("locations/{id}"),
        "title": "Corner Shop",
        "categories": {
            "primaryCategory": {"name": "categories/gcid:grocery_store", "displayName": "Grocery store"},
            "additionalCategories": [{"name": "categories/gcid:cafe", "displayName": "Cafe", "serviceTypes": []}],
        },
        "metadata": {"hasPendingEdits": true, "placeId": "p", "aFieldOfTomorrow": {}},
    })
}

pub(super) fn id() -> LocationId {
    LocationId::parse("1").expect("valid")
}

/// The categories of [`location`].
pub(super) fn categories() -> CategorySet {
    let category = |slug: &str| GbpCategory::new(Gcid::parse(&format!("gcid:{slug}")).expect("valid"), "");
    CategorySet::new(category("grocery_store"), vec![category("cafe")]).expect("a set")
}

/// The word of a run that may write.
pub(super) fn real() -> GbpWriteCapability {
    RunKind { strategy: Strategy::PlatformToGbp, dry_run: false }.gbp_write_capability().expect("a real run")
}

/// A client with the fixed token.
pub(super) fn client(endpoint: &Endpoint) -> Client {
    let credentials = Credentials::access_token(HUSH.to_owned()).expect("a token");
    Client::new(GbpConfig { credentials, ..config(endpoint) }).expect("a client")
}

/// A client that renews its token at `token_url`.
pub(super) fn renewing_client(endpoint: &Endpoint, token_url: &Endpoint) -> Client {
    Client::new(GbpConfig { token_url: Some(token_url.clone()), ..config(endpoint) }).expect("a client")
}

pub(super) fn config(endpoint: &Endpoint) -> GbpConfig {
    let credentials = Credentials::AuthorizedUser(AuthorizedUser {
        client_id: "the-client".to_owned(),
        client_secret: format!("{HUSH}-1").into(),
        refresh_token: format!("{HUSH}-2").into(),
    });
    // Long enough for a busy machine: only the test of silence waits for it.
    GbpConfig { endpoint: endpoint.clone(), token_url: None, credentials, timeout: Duration::from_secs(20) }
}
