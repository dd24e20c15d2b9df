//! The gate before every call: who is it, may they call this at all, is it too much, and how long may it take?
//!
//! Closed by default: only health and reflection are open, and a method that does not read by its name needs `admin`.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use http::{HeaderMap, Request, Response, header::AUTHORIZATION};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tower::{Layer, Service};

use super::{
    bulkhead::{AdmissionBody, Bulkhead, Cost, PermitSlot, cost},
    deadline::{self, Deadline},
    limits::Limits,
    rate::RateLimit,
    request,
    status::status,
    traced::traced,
};
use crate::{
    auth::{Rejected, Verifier},
    domain::{Caller, Role},
    error::Error,
    spans,
};

/// Open to everyone: a load balancer and `grpcurl list` have no token.
const OPEN: [&str; 3] =
    ["/grpc.health.v1.Health/", "/grpc.reflection.v1.ServerReflection/", "/grpc.reflection.v1alpha."];
/// Only for administrators, whatever a method's name: also what may be said of credentials is nobody else's business.
const CLOSED: &str = "/categorymirror.v1.CredentialService/";
/// Methods whose names begin so change nothing.
const READS: [&str; 5] = ["Evaluate", "Get", "List", "Search", "Stream"];

/// Puts the gate before a service.
#[derive(Clone)]
pub struct GateLayer {
    verifier: Arc<Verifier>,
    rate: Arc<RateLimit>,
    call_timeout: Duration,
    bulkhead: Arc<Bulkhead>,
    drain: CancellationToken,
}

impl GateLayer {
    pub(super) fn new(verifier: Arc<Verifier>, limits: &Limits, drain: CancellationToken) -> Self {
        let (rate, bulkhead) = (Arc::new(RateLimit::new(limits)), Arc::new(Bulkhead::new(limits.connections)));
        Self { verifier, rate, call_timeout: limits.call_timeout, bulkhead, drain }
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
        // The service that is ready goes with the call; its clone waits for the next one.
        let inner = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, inner);
        if is_open(request.uri().path()) {
            return Box::pin(inner.call(request));
        }
        let rules = self.rules.clone();
        let span = spans::call(request.uri(), request::trace(request.headers()).as_ref());
        // Counted from here, before anything is awaited: the transport's own timer, whose error says less, begins after this.
        let begun = Instant::now();
        let asked = deadline::asked(request.headers());
        if let Some((after, at)) = asked.and_then(|after| Some((after, begun.checked_add(after)?))) {
            request.extensions_mut().insert(Deadline { at, after });
        }
        let limit = asked.map_or(rules.call_timeout, |asked| asked.min(rules.call_timeout));
        Box::pin(async move {
            let work = async {
                match rules.admit(request.uri().path(), request.headers()).await {
                    Ok(caller) => {
                        // Held until the call is answered, or its stream open.
                        let permit = PermitSlot::default();
                        inner.call(rules.admitted(request, caller, &permit)).await
                    }
                    Err(error) => Ok(status(error).into_http()),
                }
            };
            let late = |_| Ok(status(Error::DeadlineExceeded(limit)).into_http());
            traced(span, async { timeout_at(begun + limit, work).await.unwrap_or_else(late) }).await
        })
    }
}

impl GateLayer {
    /// Returns the request of a caller with a body that ends when the bulkhead has admitted the call.
    fn admitted(&self, mut request: Request<Body>, caller: Caller, permit: &PermitSlot) -> Request<Body> {
        let (bulkhead, path) = (self.bulkhead.clone(), request.uri().path().to_owned());
        let (cost, subject) = (cost(&path), caller.subject.clone());
        request.extensions_mut().insert(caller);
        if cost == Cost::Shared {
            // What it costs depends on its message.
            request.extensions_mut().insert(bulkhead.clone());
        }
        let admission = async move { bulkhead.admit(&path, cost, &subject).await };
        request.map(|body| AdmissionBody::wrap(body, permit.clone(), admission))
    }

    async fn admit(&self, path: &str, headers: &HeaderMap) -> Result<Caller, Error> {
        if self.drain.is_cancelled() {
            return Err(Error::Draining);
        }
        let token = bearer(headers)?;
        let caller = self.verifier.verify(token, chrono::Utc::now()).await;
        let caller = caller.map_err(|rejected| match rejected {
            Rejected::KeysUnavailable => Error::KeysUnavailable,
            rejected => Error::Unauthenticated(rejected.to_string()),
        })?;
        // What is refused from here on counts as a call, too.
        self.rate.take(&caller.subject)?;
        let required = required_role(path);
        if caller.role.is_none_or(|role| role < required) {
            let wanted = if required == Role::Admin { "`admin`" } else { "`viewer` or `admin`" };
            return Err(Error::PermissionDenied(format!("this call needs role {wanted} in the token's `roles`")));
        }
        Ok(caller)
    }
}

fn is_open(path: &str) -> bool {
    OPEN.iter().any(|open| path.starts_with(open))
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
    if is_read && !path.starts_with(CLOSED) { Role::Viewer } else { Role::Admin }
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
