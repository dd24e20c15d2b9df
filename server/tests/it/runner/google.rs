//! Google as a test plays it: one set of categories for every location, answers by script, and a gate that holds calls back.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
    http::{Method, Response},
};
use category_mirror::{
    app::AccountClients,
    credential_cipher::CredentialCipher,
    gbp::{Client, Credentials, Endpoint, GbpConfig},
    store::Store,
};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
};

use crate::service::categories;

/// As many permits as no test has calls.
const OPEN: usize = 10_000;

/// An answer other than the usual one.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, &'static str)>,
    /// The categories of a success.
    pub(super) categories: Option<Value>,
    /// Whether an update takes effect.
    pub(super) applies: bool,
    /// What the owner makes of the categories before the answer is given, and after an update took effect.
    pub(super) owner: Option<Value>,
    /// The body of anything else.
    pub(super) body: Value,
}

impl Answer {
    pub(super) fn status(status: u16) -> Self {
        Self { status, headers: vec![], categories: None, applies: true, owner: None, body: json!({}) }
    }

    /// An error in Google's own form, with one reason.
    pub(super) fn error(status: u16, reason: &str) -> Self {
        let info = json!({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason});
        let body = json!({"error": {"code": status, "message": "No.", "status": "X", "details": [info]}});
        Self { body, ..Self::status(status) }
    }
}

/// The running server. It ends with the test's runtime.
#[derive(Clone)]
pub(super) struct Google(Arc<State>);

struct State {
    endpoint: String,
    gate: Semaphore,
    /// Calls that have arrived and are not answered, and the most there ever were.
    busy: watch::Sender<(usize, usize)>,
    rest: Mutex<Rest>,
}

struct Rest {
    categories: Value,
    scripts: HashMap<Method, VecDeque<Answer>>,
    /// The answer to everything that no script answers.
    usual: Answer,
    /// The answers of single locations, whatever the others meet.
    of_locations: HashMap<String, Answer>,
    calls: Vec<Method>,
    /// What each update that took effect asked for.
    writes: Vec<Value>,
    /// Where updates went.
    patched: Vec<String>,
    /// The only method whose calls the gate holds back, and whether it does so after what they do rather than before.
    held: Option<(Method, bool)>,
}

impl Google {
    /// Starts one whose locations have `primary` and `additional`.
    pub(super) async fn start(primary: &str, additional: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
        let rest = Rest {
            categories: categories(primary, additional),
            scripts: HashMap::new(),
            usual: Answer::status(200),
            of_locations: HashMap::new(),
            calls: Vec::new(),
            writes: Vec::new(),
            patched: Vec::new(),
            held: None,
        };
        let google = Self(Arc::new(State {
            endpoint,
            gate: Semaphore::new(OPEN),
            busy: watch::Sender::new((0, 0)),
            rest: Mutex::new(rest),
        }));
        let state = google.clone();
        let app = Router::new().fallback(move |request| {
            let state = state.clone();
            async move { state.answer(request).await }
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        google
    }

    /// The way to it, whatever the account, for a worker with this lease.
    pub(super) fn accounts(&self, store: &Store, lease: Duration) -> AccountClients {
        let endpoint = Endpoint::parse(&self.0.endpoint).expect("an endpoint");
        let credentials = Credentials::access_token("only-for-tests".to_owned()).expect("a token");
        let config = GbpConfig { endpoint, token_url: None, credentials, timeout: lease / 3 };
        AccountClients::new(store.clone(), Client::new(config).expect("a client"), CredentialCipher::default())
    }

    /// Answers the next calls of a method in this way.
    pub(super) fn script(&self, method: Method, answers: impl IntoIterator<Item = Answer>) {
        self.rest().scripts.entry(method).or_default().extend(answers);
    }

    /// Answers every call in this way from now on.
    pub(super) fn answers(&self, status: u16) {
        // In Google's own form: what is not comes from something in front of it.
        self.rest().usual = if status >= 400 { Answer::error(status, "NO") } else { Answer::status(status) };
    }

    /// Answers every call about one location in this way from now on.
    pub(super) fn answers_of(&self, location: &str, answer: Answer) {
        self.rest().of_locations.insert(format!("locations/{location}"), answer);
    }

    /// Holds every call back from now on.
    pub(super) fn close(&self) {
        self.0.gate.forget_permits(OPEN);
    }

    /// Holds the calls of one method back from now on: before what they do, or after it.
    pub(super) fn close_for(&self, method: Method, after: bool) {
        self.rest().held = Some((method, after));
        self.close();
    }

    /// What each update that took effect asked for, in their order.
    pub(super) fn writes(&self) -> Vec<Value> {
        self.rest().writes.clone()
    }

    /// Where updates went, in their order.
    pub(super) fn patched(&self) -> Vec<String> {
        self.rest().patched.clone()
    }

    /// What every location has.
    pub(super) fn has(&self) -> Value {
        self.rest().categories.clone()
    }

    /// The owner makes this of every location.
    pub(super) fn edit(&self, categories: Value) {
        self.rest().categories = categories;
    }

    /// Lets them through.
    pub(super) fn open(&self) {
        self.0.gate.add_permits(OPEN);
    }

    /// Waits until so many calls are held back.
    pub(super) async fn holds(&self, calls: usize) {
        self.0.busy.subscribe().wait_for(|(busy, _)| *busy == calls).await.expect("alive");
    }

    /// Waits until a method was called so often, and the last of these calls is held back.
    pub(super) async fn has_called(&self, method: &Method, calls: usize) {
        let is_held = |(busy, _): &(usize, usize)| *busy == 1 && self.count(method) == calls;
        self.0.busy.subscribe().wait_for(is_held).await.expect("alive");
    }

    /// The most calls that were there at once.
    pub(super) fn most(&self) -> usize {
        self.0.busy.borrow().1
    }

    /// How often a method was called.
    pub(super) fn count(&self, method: &Method) -> usize {
        self.rest().calls.iter().filter(|call| *call == method).count()
    }

    fn rest(&self) -> MutexGuard<'_, Rest> {
        self.0.rest.lock().expect("not poisoned")
    }

    async fn answer(&self, request: Request) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, usize::MAX).await.expect("a whole request");
        self.rest().calls.push(parts.method.clone());
        let _busy = Busy::new(self.0.clone());
        if parts.uri.query().is_some_and(|query| query.contains("validateOnly=true")) {
            return Response::new(Body::empty());
        }
        if parts.method == Method::PATCH {
            self.rest().patched.push(parts.uri.path().to_owned());
        }
        let held = self.rest().held.clone();
        let (before, after) = match held {
            Some((method, after)) if method == parts.method => (!after, after),
            Some(_) => (false, false),
            None => (true, false),
        };
        if before {
            drop(self.0.gate.acquire().await.expect("never closed"));
        }
        let answer = self.effect(&parts.method, parts.uri.path(), &body);
        if after {
            drop(self.0.gate.acquire().await.expect("never closed"));
        }
        let rest = self.rest();
        let name = parts.uri.path().trim_start_matches("/v1/");
        let categories = answer.categories.as_ref().unwrap_or(&rest.categories);
        let body = if answer.status == 200 { json!({"name": name, "categories": categories}) } else { answer.body };
        let response = Response::builder().status(answer.status).header("content-type", "application/json");
        let response = answer.headers.iter().fold(response, |response, (name, value)| response.header(*name, *value));
        response.body(Body::from(body.to_string())).expect("a response")
    }

    /// What a call does, and its answer.
    fn effect(&self, method: &Method, path: &str, body: &[u8]) -> Answer {
        let mut rest = self.rest();
        let scripted = rest.scripts.get_mut(method).and_then(VecDeque::pop_front);
        let of_location = || rest.of_locations.get(path.trim_start_matches("/v1/")).cloned();
        let answer = scripted.or_else(of_location).unwrap_or_else(|| rest.usual.clone());
        if *method == Method::PATCH && answer.applies {
            let update: Value = serde_json::from_slice(body).expect("JSON");
            rest.categories = update["categories"].clone();
            rest.writes.push(update["categories"].clone());
        }
        if let Some(owner) = &answer.owner {
            rest.categories = owner.clone();
        }
        answer
    }
}

/// Counts a call for as long as it is there: also one whose caller goes away.
struct Busy(Arc<State>);

impl Busy {
    fn new(state: Arc<State>) -> Self {
        state.busy.send_modify(|(busy, most)| {
            *busy += 1;
            *most = (*most).max(*busy);
        });
        Self(state)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.send_modify(|(busy, _)| *busy -= 1);
    }
}
