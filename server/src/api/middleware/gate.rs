//! The gate that every call passes first: it verifies the caller and its permission, applies rate and memory limits,
//! and sets the deadline.
//!
//! Closed by default: only health and reflection are open, and a method whose name is not that of a read needs role
//! `admin`.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use http::{HeaderMap, Request, Response, header::AUTHORIZATION};
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};
use tonic::body::Body;
use tower::{Layer, Service};

use crate::api::{
    decode::request,
    encode::status::status,
    limits::CallLimits,
    middleware::{
        abandoned::Drain,
        bodies::{
            admission_body::AdmissionBody,
            answer_body::{AnswerBounds, bounded},
            memory::{RequestMemory, Reservation},
            request_body::{RequestLimits, SharedReservation, metered},
        },
        bulkhead::Bulkhead,
        costs::{Cost, cost},
        deadline::{self, Deadline},
        key_waits::KeyWaits,
        open_calls::{self, OpenCallRules},
        open_streams::OpenStreams,
        rate::RateLimit,
        read_headers::keep_read,
        server_version::versioned,
        traced::traced,
    },
};
use crate::{
    admission::HeldPermits,
    auth::Verifier,
    connections::Connection,
    domain::{Caller, Role},
    error::Error,
    spans,
};

/// Maximum size of a message to a method that imports: some thousand items.
const MAX_IMPORT: usize = 4 * 1024 * 1024;
/// Maximum size of any other message: far above the needs of every method.
const MAX_MESSAGE: usize = 1024 * 1024;
/// Requires role `admin` for every method, even for reads: the metadata of credentials is confidential.
const RESTRICTED_SERVICE: &str = "/categorymirror.v1.CredentialService/";
/// Methods with these name prefixes change nothing.
const READS: [&str; 5] = ["Evaluate", "Get", "List", "Search", "Stream"];

/// Puts the gate before a service.
#[derive(Clone)]
pub(in crate::api) struct GateLayer {
    verifier: Arc<Verifier>,
    key_waits: KeyWaits,
    rate: Arc<RateLimit>,
    call_timeout: Duration,
    bulkhead: Arc<Bulkhead>,
    drain: Drain,
    memory: RequestMemory,
    open: OpenCallRules,
}

impl GateLayer {
    pub(in crate::api) fn new(
        verifier: Arc<Verifier>,
        limits: &CallLimits,
        streams: OpenStreams,
        is_serving: watch::Receiver<bool>,
        drain: Drain,
    ) -> Self {
        let memory = RequestMemory::new(limits.request_memory);
        Self {
            verifier,
            key_waits: KeyWaits::new(&limits.connections),
            rate: Arc::new(RateLimit::new(limits)),
            call_timeout: limits.call_timeout,
            bulkhead: Arc::new(Bulkhead::new(limits.database_connections, is_serving, drain.begins.clone())),
            drain,
            open: OpenCallRules::new(limits, memory.clone(), streams),
            memory,
        }
    }
}

impl<S> Layer<S> for GateLayer {
    type Service = Gate<S>;

    fn layer(&self, inner: S) -> Gate<S> {
        Gate { inner, rules: self.clone() }
    }
}

/// A service behind the gate. Requests that pass carry their [`Caller`].
#[derive(Clone)]
pub struct Gate<S> {
    inner: S,
    rules: GateLayer,
}

impl<S> Service<Request<Body>> for Gate<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        // The service that is ready handles this call; its clone waits for the next one.
        let inner = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, inner);
        let rules = self.rules.clone();
        if open_calls::is_open(request.uri().path()) {
            return Box::pin(async move { open_calls::call(&rules.open, inner, request).await });
        }
        let span = spans::call(request.uri(), request::trace(request.headers()).as_ref());
        // Measured from here, before the first await: the transport's own timer, whose error is less specific, starts
        // later.
        let begun = Instant::now();
        let asked = deadline::asked(request.headers());
        if let Some((after, at)) = asked.and_then(|after| Some((after, begun.checked_add(after)?))) {
            request.extensions_mut().insert(Deadline { at, after });
        }
        let limit = asked.map_or(rules.call_timeout, |asked| asked.min(rules.call_timeout));
        Box::pin(async move {
            let held = HeldPermits::default();
            let (abandoned, ends_at) = (rules.drain.abandoned.clone(), begun + rules.call_timeout);
            let work = rules.answer(inner, request, held.clone(), Deadline { at: begun + limit, after: limit });
            let work = abandoned.outliving(work, held, span.clone(), ends_at);
            let late = |_| Ok(status(Error::DeadlineExceeded(limit)).into_http());
            traced(span, async { timeout_at(begun + limit, work).await.unwrap_or_else(late) }).await
        })
    }
}

impl GateLayer {
    /// Answers a call: does all of its work, and keeps what it holds until the response exists or its stream is open.
    async fn answer<S>(
        self,
        mut inner: S,
        request: Request<Body>,
        held: HeldPermits,
        deadline: Deadline,
    ) -> Result<Response<Body>, S::Error>
    where
        S: Service<Request<Body>, Response = Response<Body>>,
    {
        let connection = request.extensions().get::<Arc<Connection>>();
        let admitted = self.admit(request.uri().path(), request.headers(), connection).await;
        match admitted.and_then(|admitted| self.prepare(request, admitted, held, deadline)) {
            Ok((request, bounds, _reservation)) => Ok(versioned(bounded(inner.call(request).await?, bounds))),
            Err(error) => Ok(status(error).into_http()),
        }
    }

    /// Returns the caller's request with a body that ends once the bulkhead has admitted the call.
    fn admitted(
        &self,
        mut request: Request<Body>,
        subject: String,
        held: HeldPermits,
        deadline: Deadline,
    ) -> Request<Body> {
        let (bulkhead, path) = (self.bulkhead.clone(), request.uri().path().to_owned());
        let cost = cost(&path);
        if cost == Cost::Shared {
            // The cost of the call depends on its message.
            request.extensions_mut().insert(bulkhead.clone());
            request.extensions_mut().insert(held.clone());
        }
        let admission = async move {
            bulkhead.admit(&path, cost, &subject, &held).await?;
            // The deadline passes now. Without this check, the call would begin to work although its caller gets an
            // error.
            if Instant::now() >= deadline.at { Err(Error::DeadlineExceeded(deadline.after)) } else { Ok(()) }
        };
        request.map(|body| AdmissionBody::wrap(body, admission))
    }

    /// Authenticates the caller. The call's memory is reserved before that, because verification may have to wait for
    /// keys.
    async fn admit(
        &self,
        path: &str,
        headers: &HeaderMap,
        connection: Option<&Arc<Connection>>,
    ) -> Result<(Caller, Reservation), Error> {
        if self.drain.begins.is_cancelled() {
            return Err(Error::Draining);
        }
        let token = bearer(headers)?;
        let reservation = self.memory.reserve(headers, connection)?;
        let verification = self.verifier.verify(token, chrono::Utc::now());
        let caller = self.key_waits.verified(connection.map(Arc::as_ref), verification).await?;
        // From here on, refused calls count toward the caller's rate.
        self.rate.take(&caller.subject)?;
        let required = required_role(path);
        if caller.role.is_none_or(|role| role < required) {
            let wanted = if required == Role::Admin { "`admin`" } else { "`viewer` or `admin`" };
            return Err(Error::PermissionDenied(format!("this call needs role {wanted} in the token's `roles`")));
        }
        Ok((caller, reservation))
    }

    /// Prepares an admitted call: marks its connection as authenticated, counts its body, and bounds its response.
    fn prepare(
        &self,
        mut request: Request<Body>,
        (caller, mut reservation): (Caller, Reservation),
        held: HeldPermits,
        deadline: Deadline,
    ) -> Result<(Request<Body>, AnswerBounds, SharedReservation), Error> {
        let connection = request.extensions().get::<Arc<Connection>>().cloned();
        if let Some(connection) = &connection {
            connection.prove();
        }
        keep_read(request.headers_mut());
        let path = request.uri().path();
        let bounds = AnswerBounds { connection, is_stream: is_stream(path), ..AnswerBounds::default() };
        let is_import = path.rsplit('/').next().is_some_and(|method| method.starts_with("Import"));
        let max_message = if is_import { MAX_IMPORT } else { MAX_MESSAGE };
        let limits = RequestLimits { path: path.to_owned(), max_message, is_stream: false };
        let subject = caller.subject.clone();
        request.extensions_mut().insert(caller);
        reservation.assign(Some(&subject))?;
        let (request, reservation) = metered(request, reservation, limits);
        Ok((self.admitted(request, subject, held, deadline), bounds, reservation))
    }
}

fn is_stream(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|method| method.starts_with("Stream"))
}

fn bearer(headers: &HeaderMap) -> Result<&str, Error> {
    let missing = || Error::Unauthenticated("send a token: `authorization: Bearer <token>`".to_owned());
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or_else(missing)?;
    if values.next().is_some() {
        return Err(Error::Unauthenticated("send one authorization header, not several".to_owned()));
    }
    let (scheme, token) = value.to_str().ok().and_then(|value| value.split_once(' ')).ok_or_else(missing)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim()) } else { Err(missing()) }
}

fn required_role(path: &str) -> Role {
    let method = path.rsplit('/').next().unwrap_or_default();
    let is_read = READS.iter().any(|read| method.starts_with(read));
    if is_read && !path.starts_with(RESTRICTED_SERVICE) { Role::Viewer } else { Role::Admin }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_read_needs_admin() {
        for method in ["GetRun", "ListSyncLogs", "StreamRunUpdates", "EvaluateFlag"] {
            assert_eq!(required_role(&format!("/categorymirror.v1.CategoryMirrorService/{method}")), Role::Viewer);
        }
        for path in [
            "/categorymirror.v1.CategoryMirrorService/MirrorCategories",
            "/a/CancelRun",
            "/",
            "",
            "/Get/",
            "/GetX/Y",
            "/categorymirror.v1.CredentialService/ListCredentials",
        ] {
            assert_eq!(required_role(path), Role::Admin, "{path}");
        }
    }

    #[test]
    fn one_bearer_token_or_none() {
        let headers = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, value.parse().expect("a header value"));
            }
            headers
        };
        assert_eq!(bearer(&headers(&["bearer abc"])).expect("a token"), "abc");
        for bad in [&[][..], &["abc"], &["Basic abc"], &["Bearer a", "Bearer b"]] {
            assert!(matches!(bearer(&headers(bad)), Err(Error::Unauthenticated(_))), "{bad:?}");
        }
    }
}
