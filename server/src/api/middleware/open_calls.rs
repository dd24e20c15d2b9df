//! Calls without a token: health and reflection. Their number and duration are limited, and they end at a deadline; a
//! watch of health is a stream.
//!
//! A call takes its permit once its message has arrived, for which it has one second. So a call whose message never
//! ends holds none.

mod arrival;

use std::{sync::Arc, time::Duration};

use http::{Request, Response};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tower::Service;

use crate::api::{
    encode::status::status,
    limits::CallLimits,
    middleware::{
        bodies::{
            answer_body::{AnswerBounds, bounded},
            memory::RequestMemory,
            request_body::{RequestLimits, metered},
        },
        deadline,
        open_permits::{Displaces, OpenPermit, OpenPermits, PermitLimits},
        open_streams::OpenStreams,
        read_headers::keep_read,
    },
};
use crate::{connections::Connection, error::Error};

/// Methods that need no token: load balancers and `grpcurl list` have none.
const OPEN: [&str; 3] =
    ["/grpc.health.v1.Health/", "/grpc.reflection.v1.ServerReflection/", "/grpc.reflection.v1alpha."];
/// The one method that streams.
const WATCH: &str = "/grpc.health.v1.Health/Watch";
const HEALTH: &str = "/grpc.health.v1.Health/";
/// Maximum duration of such a call, and of opening a watch.
const MAX_DURATION: Duration = Duration::from_secs(10);
/// Maximum size of a message to health: the name of a service.
const MAX_HEALTH_MESSAGE: usize = 1024;
/// Maximum size of a message to reflection: the name of a file, or of an element of one.
const MAX_REFLECTION_MESSAGE: usize = 4096;
/// Maximum number of concurrent calls to health, without watches. A check takes microseconds.
const MAX_HEALTH_CALLS: usize = 256;
/// Maximum number of concurrent calls to reflection. Counted separately, because the caller determines their duration,
/// up to [`MAX_DURATION`].
const MAX_REFLECTION_CALLS: usize = 64;
/// Maximum number of concurrent calls whose message has not arrived yet. Together with the two limits above, they fit
/// into a fifth of the default of `REQUEST_MEMORY_BYTES`, even with the longest headers.
const MAX_ARRIVING: usize = 256;
/// Maximum number of such calls per connection: `grpcurl list` makes one at a time. A watch counts here until it is
/// open. Then it has a permit among all watches, of which a proxy may have many on one connection.
const MAX_CALLS_PER_CONNECTION: usize = 64;
/// Time after its deadline for which a response may stay unread before its connection is closed.
const UNREAD_GRACE: Duration = Duration::from_secs(5);
/// The same for a stream that has been displaced.
const DISPLACED_GRACE: Duration = Duration::from_secs(1);
/// Time after which a refused caller may retry.
const FULL_RETRY_AFTER: Duration = Duration::from_secs(1);

/// Whether the method at `path` needs no token.
pub(in crate::api) fn is_open(path: &str) -> bool {
    OPEN.iter().any(|open| path.starts_with(open))
}

/// What such calls are held to. Cheap to clone.
#[derive(Clone)]
pub(in crate::api) struct OpenCallRules {
    call_timeout: Duration,
    memory: RequestMemory,
    calls: OpenCalls,
    streams: OpenStreams,
}

impl OpenCallRules {
    pub(in crate::api) fn new(limits: &CallLimits, memory: RequestMemory, streams: OpenStreams) -> Self {
        Self { call_timeout: limits.call_timeout, memory, calls: OpenCalls::new(limits), streams }
    }
}

/// Numbers of such calls.
#[derive(Debug, Clone)]
struct OpenCalls {
    health: OpenPermits,
    reflection: OpenPermits,
    arriving: OpenPermits,
}

impl OpenCalls {
    fn new(limits: &CallLimits) -> Self {
        let permits = |total| {
            let limits = PermitLimits::new(total, &limits.connections);
            OpenPermits::new(limits, Displaces::Always, "too many calls without a token")
        };
        Self {
            health: permits(MAX_HEALTH_CALLS),
            reflection: permits(MAX_REFLECTION_CALLS),
            arriving: permits(MAX_ARRIVING),
        }
    }
}

/// One of the open calls of a connection.
#[derive(Debug)]
struct OnConnection(Option<Arc<Connection>>);

impl OnConnection {
    /// Counts a call on its connection.
    ///
    /// # Errors
    /// [`Error::RateLimited`] if there are too many.
    fn begin(connection: Option<&Arc<Connection>>) -> Result<Self, Error> {
        let limit = MAX_CALLS_PER_CONNECTION;
        if connection.is_some_and(|connection| !connection.begin_open_call(limit)) {
            let problem = "too many calls without a token on one connection";
            return Err(Error::RateLimited { problem, limit, wait: FULL_RETRY_AFTER });
        }
        Ok(Self(connection.cloned()))
    }
}

impl Drop for OnConnection {
    fn drop(&mut self) {
        if let Some(connection) = &self.0 {
            connection.end_open_call();
        }
    }
}

/// Executes a call without a token.
pub(in crate::api) async fn call<S>(
    rules: &OpenCallRules,
    mut inner: S,
    mut request: Request<Body>,
) -> Result<Response<Body>, S::Error>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    keep_read(request.headers_mut());
    let path = request.uri().path();
    let (is_watch, is_health) = (path == WATCH, path.starts_with(HEALTH));
    let connection = request.extensions().get::<Arc<Connection>>().cloned();
    let limit = deadline::asked(request.headers()).unwrap_or(MAX_DURATION).min(MAX_DURATION).min(rules.call_timeout);
    let ends_at = Instant::now() + limit;
    let limits = RequestLimits {
        path: path.to_owned(),
        max_message: if is_health { MAX_HEALTH_MESSAGE } else { MAX_REFLECTION_MESSAGE },
        is_stream: !is_health,
    };
    // Counted from the headers on, in whatever way the call ends.
    let counted = OnConnection::begin(connection.as_ref());
    let metered = counted.and_then(|counted| {
        let mut reservation = rules.memory.reserve(request.headers(), connection.as_ref())?;
        reservation.assign(None)?;
        Ok((counted, metered(request, reservation, limits)))
    });
    let (counted, (request, _reservation)) = match metered {
        Ok(metered) => metered,
        Err(error) => return Ok(status(error).into_http()),
    };
    let arriving = &rules.calls.arriving;
    let request = match arrival::arrived(request, !is_health, arriving, connection.as_deref(), ends_at).await {
        Ok(request) => request,
        Err(status) => return Ok(status.into_http()),
    };
    let mut bounds = AnswerBounds { connection, is_stream: true, ..AnswerBounds::default() };
    let admitted = if is_watch {
        watch(rules, &mut bounds)
    } else {
        let permits = if is_health { &rules.calls.health } else { &rules.calls.reflection };
        let permit = permits.take(bounds.connection.as_deref());
        permit.map(|permit| short(&mut bounds, (counted, permit), permits.displaced(), limit, ends_at))
    };
    if let Err(error) = admitted {
        return Ok(status(error).into_http());
    }
    match timeout_at(ends_at, inner.call(request)).await {
        Ok(answer) => Ok(bounded(answer?, bounds)),
        Err(_) => Ok(status(Error::DeadlineExceeded(limit)).into_http()),
    }
}

/// A watch takes a place among the streams. It ends with its connection, and where another one takes its place.
fn watch(rules: &OpenCallRules, bounds: &mut AnswerBounds) -> Result<(), Error> {
    let permit = rules.streams.admit_watch(bounds.connection.as_deref())?;
    let displaced = permit.displaced().unwrap_or_default();
    let expired = bounds.connection.as_ref().map(|connection| connection.expired().clone()).unwrap_or_default();
    let (lost, streams) = (displaced.clone(), rules.streams.clone());
    bounds.end = Some(Box::pin(async move {
        tokio::select! {
            () = expired.cancelled() => Error::ConnectionExpired,
            () = lost.cancelled() => streams.displaced(),
        }
    }));
    let Some(connection) = bounds.connection.clone() else {
        bounds.held = Some(Box::new(permit));
        return Ok(());
    };
    let ended = CancellationToken::new();
    bounds.held = Some(Box::new((permit, ended.clone().drop_guard())));
    tokio::spawn(ended.run_until_cancelled_owned(async move {
        displaced.cancelled().await;
        // A watch whose client does not read cannot end by itself.
        tokio::time::sleep(DISPLACED_GRACE).await;
        connection.cut();
    }));
    Ok(())
}

/// Bounds any other call: it ends with an error at its deadline, or when another call displaces it. If the response
/// stays unread for a grace period, the connection is closed, because a single unread response cannot be revoked.
fn short(bounds: &mut AnswerBounds, held: (OnConnection, OpenPermit), lost: Error, limit: Duration, ends_at: Instant) {
    let displaced = held.1.displaced();
    let is_displaced = displaced.clone();
    bounds.end = Some(Box::pin(async move {
        tokio::select! {
            () = sleep_until(ends_at) => Error::DeadlineExceeded(limit),
            () = is_displaced.cancelled() => lost,
        }
    }));
    let Some(connection) = bounds.connection.clone() else {
        bounds.held = Some(Box::new(held));
        return;
    };
    let answered = CancellationToken::new();
    bounds.held = Some(Box::new((held, answered.clone().drop_guard())));
    tokio::spawn(answered.run_until_cancelled_owned(async move {
        tokio::select! {
            () = sleep_until(ends_at + UNREAD_GRACE) => {}
            () = displaced.cancelled() => tokio::time::sleep(DISPLACED_GRACE).await,
        }
        connection.cut();
    }));
}
