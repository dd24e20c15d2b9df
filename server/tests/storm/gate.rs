//! The gate before Google: every call of every server passes through it over HTTP. It passes on what comes, unless steps are planned for a
//! location: then something happens just before or after a certain call takes effect, or the answer is another one, or none.
//!
//! What happens at a step is done to its end, also when the server that called is killed in the meantime.

use std::{
    collections::{HashMap, VecDeque},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::Request,
    http::{HeaderName, Method, StatusCode, header},
    response::Response,
};
use chrono::Utc;
use futures::future::BoxFuture;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinSet,
};

use crate::record::{Hold, Record};

/// Larger than any call of the service.
const MAX_BODY: usize = 1024 * 1024;

/// What the gate cannot pass on, or shall not.
const BROKEN: &str = "the connection is meant to break here";

/// Something that happens at a step.
pub(crate) type Action = BoxFuture<'static, ()>;

/// Which calls about a location a step is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// `locations.get`.
    Read,
    /// `locations.patch`, not only to validate.
    Write,
}

/// What happens at one call.
pub(crate) struct Step {
    call: Call,
    before: Option<Action>,
    /// With which status the call is answered instead of being passed on.
    refusal: Option<StatusCode>,
    after: Option<Action>,
    is_lost: bool,
}

/// The steps that are planned for one location, in order.
struct Plan {
    steps: Mutex<VecDeque<Step>>,
    actions: Mutex<JoinSet<()>>,
}

/// Steps that are planned until this is ended.
pub(crate) struct Planned {
    gate: Gate,
    location: String,
    plan: Arc<Plan>,
}

/// The gate. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Gate {
    plans: Arc<Mutex<HashMap<String, Arc<Plan>>>>,
    google: Arc<str>,
    record: Arc<Record>,
    http: reqwest::Client,
}

impl Step {
    /// Passes the call on, and its answer back.
    pub(crate) fn at(call: Call) -> Self {
        Self { call, before: None, refusal: None, after: None, is_lost: false }
    }

    /// Does something before the call is passed on or refused.
    pub(crate) fn before(self, action: Action) -> Self {
        Self { before: Some(action), ..self }
    }

    /// Does something after the call has taken effect, before its answer is passed back.
    pub(crate) fn after(self, action: Action) -> Self {
        Self { after: Some(action), ..self }
    }

    /// Answers with an error, and passes nothing on.
    pub(crate) fn refused(self, status: u16) -> Self {
        Self { refusal: Some(StatusCode::from_u16(status).expect("a status")), ..self }
    }

    /// Breaks the connection instead of passing the answer back.
    pub(crate) fn lost(self) -> Self {
        Self { is_lost: true, ..self }
    }
}

impl Gate {
    /// Opens a gate to Google. Gives its base URL, too. It ends with the program.
    pub(crate) async fn open(google: &str, record: &Arc<Record>) -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let gate = Self { plans: Arc::default(), google: google.into(), record: record.clone(), http };
        let open = gate.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(open.clone().serve(stream));
            }
        });
        (gate, endpoint)
    }

    /// Plans steps for a location, in place of all others.
    pub(crate) fn plan(&self, location: &str, steps: Vec<Step>) -> Planned {
        let plan = Arc::new(Plan { steps: Mutex::new(steps.into()), actions: Mutex::default() });
        locked(&self.plans).insert(location.to_owned(), plan.clone());
        Planned { gate: self.clone(), location: location.to_owned(), plan }
    }

    async fn serve(self, stream: TcpStream) {
        let answer = service_fn(move |request: hyper::Request<Incoming>| {
            let gate = self.clone();
            async move { gate.answer(request.map(Body::new)).await }
        });
        // An error is a caller that left, or a connection that was to break.
        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
    }

    async fn answer(&self, request: Request) -> io::Result<Response> {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, MAX_BODY).await.map_err(io::Error::other)?;
        let (plan, step) = self.step(&parts.method, &parts.uri).unzip();
        let Some((plan, step)) = plan.zip(step) else { return self.pass_on(&parts, body).await };
        if step.before.is_some() {
            let from = Utc::now();
            plan.run(step.before).await;
            let location = parts.uri.path().rsplit('/').next().unwrap_or_default().to_owned();
            self.record.notes().holds.push(Hold { location, from, to: Utc::now() });
        }
        let answer = match step.refusal {
            Some(status) => Ok(refusal(status)),
            // Nothing more is known of a lost call than that it was made, so its answer has to have come.
            None if step.is_lost || step.after.is_some() => whole(self.pass_on(&parts, body).await?).await,
            None => self.pass_on(&parts, body).await,
        };
        plan.run(step.after).await;
        if step.is_lost { Err(io::Error::other(BROKEN)) } else { answer }
    }

    /// The next step that is planned for a location, if it is for this call.
    fn step(&self, method: &Method, uri: &axum::http::Uri) -> Option<(Arc<Plan>, Step)> {
        let location = uri.path().strip_prefix("/v1/locations/")?;
        let is_rehearsal = uri.query().is_some_and(|query| query.contains("validateOnly=true"));
        let call = match *method {
            Method::GET => Call::Read,
            Method::PATCH if !is_rehearsal => Call::Write,
            _ => return None,
        };
        let plan = locked(&self.plans).get(location)?.clone();
        let step = locked(&plan.steps).pop_front_if(|step| step.call == call)?;
        Some((plan, step))
    }

    async fn pass_on(&self, parts: &axum::http::request::Parts, body: Bytes) -> io::Result<Response> {
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut headers = parts.headers.clone();
        for hop in [header::HOST, header::CONNECTION, header::CONTENT_LENGTH, header::TRANSFER_ENCODING] {
            headers.remove(hop);
        }
        let request = self.http.request(parts.method.clone(), format!("{}{path}", self.google));
        let answer = request.headers(headers).body(body).send().await.map_err(io::Error::other)?;
        let mut response = Response::builder().status(answer.status());
        let is_hop = |name: &HeaderName| matches!(*name, header::CONNECTION | header::TRANSFER_ENCODING);
        for (name, value) in answer.headers().iter().filter(|(name, _)| !is_hop(name)) {
            response = response.header(name, value);
        }
        // An answer that breaks off has to break off here, too.
        let body = futures::stream::try_unfold(answer, |mut answer| async {
            Ok::<_, reqwest::Error>(answer.chunk().await?.map(|chunk| (chunk, answer)))
        });
        response.body(Body::from_stream(body)).map_err(io::Error::other)
    }
}

impl Plan {
    /// Carries an action out, in a task of its own: who waits for it here may be gone before it is done.
    async fn run(&self, action: Option<Action>) {
        let Some(action) = action else { return };
        let (done, is_done) = oneshot::channel();
        locked(&self.actions).spawn(async move {
            action.await;
            let _ = done.send(());
        });
        let _ = is_done.await;
    }
}

impl Planned {
    /// Drops the steps that are left, and waits until all that has begun to happen has happened.
    pub(crate) async fn end(self) {
        let Self { gate, location, plan } = self;
        locked(&gate.plans).retain(|other, last| *other != location || !Arc::ptr_eq(last, &plan));
        locked(&plan.steps).clear();
        loop {
            let actions = std::mem::take(&mut *locked(&plan.actions));
            if actions.is_empty() {
                return;
            }
            actions.join_all().await;
        }
    }
}

/// An answer with all of its body.
async fn whole(answer: Response) -> io::Result<Response> {
    let (parts, body) = answer.into_parts();
    let body = to_bytes(body, usize::MAX).await.map_err(io::Error::other)?;
    Ok(Response::from_parts(parts, Body::from(body)))
}

/// In Google's form.
fn refusal(status: StatusCode) -> Response {
    let code = match status.as_u16() {
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        _ => "UNAVAILABLE",
    };
    let message = status.canonical_reason().unwrap_or_default();
    let error = json!({ "error": { "code": status.as_u16(), "message": message, "status": code } });
    let response = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json");
    response.body(Body::from(error.to_string())).expect("a response")
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
