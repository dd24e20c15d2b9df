//! Calls without a token: health and reflection. They are few at once, short, and end in time; a watch of health is a stream.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{Request, Response};
use tokio::time::{Instant, sleep_until, timeout_at};
use tonic::body::Body;
use tower::Service;

use super::{
    answer_body::{AnswerBounds, bounded},
    deadline,
    gate::GateLayer,
    request_body::RequestLimits,
    status::status,
};
use crate::{connections::Connection, error::Error};

/// Methods that are open to everyone: a load balancer and `grpcurl list` have no token.
const OPEN: [&str; 3] =
    ["/grpc.health.v1.Health/", "/grpc.reflection.v1.ServerReflection/", "/grpc.reflection.v1alpha."];
/// The one that goes on.
const WATCH: &str = "/grpc.health.v1.Health/Watch";
const HEALTH: &str = "/grpc.health.v1.Health/";
/// The longest such a call takes, and the longest that a watch takes to open.
const MAX_DURATION: Duration = Duration::from_secs(10);
/// Bytes of a message to health: a service's name.
const MAX_HEALTH_MESSAGE: usize = 1024;
/// Bytes of a message to reflection: the name of a file, or of what is in one.
const MAX_REFLECTION_MESSAGE: usize = 4096;
/// Such calls at once, without watches.
const MAX_CALLS: usize = 512;
/// Such calls at once of one connection: `grpcurl list` makes one at a time.
const MAX_CALLS_PER_CONNECTION: usize = 64;
/// How long after its deadline an answer may wait to be read, before its connection is closed.
const UNREAD_GRACE: Duration = Duration::from_secs(5);
/// When to try again.
const FULL_WAIT: Duration = Duration::from_secs(1);

/// Whether the method at `path` is open to everyone.
pub(super) fn is_open(path: &str) -> bool {
    OPEN.iter().any(|open| path.starts_with(open))
}

/// How many such calls there are.
#[derive(Debug, Default, Clone)]
pub(super) struct OpenCalls {
    count: Arc<AtomicUsize>,
}

impl OpenCalls {
    /// # Errors
    /// [`Error::RateLimited`] where there are too many.
    fn begin(&self, connection: Option<Arc<Connection>>) -> Result<OpenCall, Error> {
        let full = |problem, limit| Error::RateLimited { problem, limit, wait: FULL_WAIT };
        let next = |count: usize| (count < MAX_CALLS).then_some(count + 1);
        self.count
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
            .map_err(|_| full("too many calls without a token", MAX_CALLS))?;
        // From here on its drop frees the place.
        let mut call = OpenCall { calls: self.clone(), connection: None };
        if let Some(connection) = connection {
            if !connection.begin_open_call(MAX_CALLS_PER_CONNECTION) {
                return Err(full("too many calls without a token on one connection", MAX_CALLS_PER_CONNECTION));
            }
            call.connection = Some(connection);
        }
        Ok(call)
    }
}

/// The place of one such call.
#[derive(Debug)]
struct OpenCall {
    calls: OpenCalls,
    connection: Option<Arc<Connection>>,
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        self.calls.count.fetch_sub(1, Ordering::Relaxed);
        if let Some(connection) = &self.connection {
            connection.end_open_call();
        }
    }
}

/// Makes a call without a token.
pub(super) async fn call<S>(rules: &GateLayer, mut inner: S, request: Request<Body>) -> Result<Response<Body>, S::Error>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    let path = request.uri().path();
    let connection = request.extensions().get::<Arc<Connection>>().cloned();
    let limit = deadline::asked(request.headers()).unwrap_or(MAX_DURATION).min(MAX_DURATION).min(rules.call_timeout);
    let ends_at = Instant::now() + limit;
    let limits = RequestLimits {
        path: path.to_owned(),
        max_message: if path.starts_with(HEALTH) { MAX_HEALTH_MESSAGE } else { MAX_REFLECTION_MESSAGE },
        is_stream: !path.starts_with(HEALTH),
    };
    let mut bounds = AnswerBounds { connection: connection.clone(), is_stream: true, ..AnswerBounds::default() };
    let admitted = if path == WATCH { watch(rules, &mut bounds) } else { short(rules, &mut bounds, limit, ends_at) };
    let request = match admitted.and_then(|()| rules.metered(request, None, limits)) {
        Ok((request, _reservation)) => request,
        Err(error) => return Ok(status(error).into_http()),
    };
    match timeout_at(ends_at, inner.call(request)).await {
        Ok(answer) => Ok(bounded(answer?, bounds)),
        Err(_) => Ok(status(Error::DeadlineExceeded(limit)).into_http()),
    }
}

/// A watch takes a place among the streams, and ends with its connection.
fn watch(rules: &GateLayer, bounds: &mut AnswerBounds) -> Result<(), Error> {
    bounds.held = Some(Box::new(rules.streams.admit_watch()?));
    bounds.end = bounds.connection.as_ref().map(|connection| {
        let expired = connection.expired().clone();
        let end: futures::future::BoxFuture<'static, Error> = Box::pin(async move {
            expired.cancelled().await;
            Error::ConnectionExpired
        });
        end
    });
    Ok(())
}

/// Any other call ends at its deadline, or takes its connection along: an answer that is not read cannot be taken back alone.
fn short(rules: &GateLayer, bounds: &mut AnswerBounds, limit: Duration, ends_at: Instant) -> Result<(), Error> {
    let place = rules.open_calls.begin(bounds.connection.clone())?;
    bounds.end = Some(Box::pin(async move {
        sleep_until(ends_at).await;
        Error::DeadlineExceeded(limit)
    }));
    let Some(connection) = bounds.connection.clone() else {
        bounds.held = Some(Box::new(place));
        return Ok(());
    };
    let answered = tokio_util::sync::CancellationToken::new();
    bounds.held = Some(Box::new((place, answered.clone().drop_guard())));
    tokio::spawn(async move {
        if answered.run_until_cancelled(sleep_until(ends_at + UNREAD_GRACE)).await.is_some() {
            connection.cut();
        }
    });
    Ok(())
}
