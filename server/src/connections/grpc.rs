//! The gRPC port: each connection from its handshake to its end.

use std::{
    convert::Infallible,
    io,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use http::{HeaderMap, Request, Response};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::body::Body;
use tower::{Service, ServiceExt};

use super::{
    ConnectionLimits,
    connection::Connection,
    listener,
    permits::{Connections, Permit},
    preface::read_preface,
    refusals::RefusalReason,
};
use crate::tls::Tls;

/// Time that a client has to acknowledge the end of its connection if no call is open.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);
/// Maximum relative deviation of a connection's age from the maximum: connections that were opened together do not end
/// together.
const AGE_JITTER: f64 = 0.1;
const A_YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// Limits that HTTP/2 itself enforces.
#[derive(Debug, Clone, Copy)]
pub struct Http2 {
    /// Interval between pings of a silent client.
    pub keepalive_interval: Duration,
    /// Time without an answer to a ping after which the connection ends.
    pub keepalive_timeout: Duration,
    /// Concurrent calls and streams; further ones wait at the client.
    pub max_concurrent_streams: u32,
    /// Maximum size of a call's headers, as HTTP/2 counts it.
    pub max_header_list_size: u32,
    /// Calls that a client has reset before the server has processed them. A client that continues to do this
    /// (CVE-2023-44487) loses its connection.
    pub max_pending_accept_reset_streams: usize,
    /// Calls that were refused because they violate the protocol, after which the connection is closed.
    pub max_local_error_reset_streams: usize,
    /// Bytes of all requests that a connection may send before the server has read any of them.
    pub connection_window: u32,
    /// The same for one request.
    pub stream_window: u32,
    /// Bytes of one response that wait in the transport.
    pub max_send_buffer: usize,
}

impl Http2 {
    fn builder(&self) -> http2::Builder<TokioExecutor> {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .keep_alive_interval(self.keepalive_interval)
            .keep_alive_timeout(self.keepalive_timeout)
            .max_concurrent_streams(self.max_concurrent_streams)
            .max_header_list_size(self.max_header_list_size)
            .max_pending_accept_reset_streams(self.max_pending_accept_reset_streams)
            .max_local_error_reset_streams(self.max_local_error_reset_streams)
            .initial_connection_window_size(self.connection_window)
            .initial_stream_window_size(self.stream_window)
            .max_send_buf_size(self.max_send_buffer);
        builder
    }
}

/// State that all connections of the port share.
#[derive(Clone)]
pub struct Parties<S> {
    /// The service that is called.
    pub service: S,
    /// `None`: plain TCP.
    pub tls: Option<Tls>,
    /// The limits of HTTP/2.
    pub http2: Http2,
    /// Drops headers that are not read. Called before the call has its own task: a client may send thousands of calls
    /// before any of them begins.
    pub sift: fn(&mut HeaderMap),
    /// The open connections.
    pub connections: Connections,
    /// Cancelled to end connections in an orderly way.
    pub drain: CancellationToken,
}

/// Serves until `parties.drain` is cancelled and the last connection has ended. If dropped earlier, it closes all
/// connections immediately.
pub async fn serve_grpc<S>(listener: TcpListener, parties: Parties<S>)
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    let tasks = TaskTracker::new();
    let end = CancellationToken::new();
    let _end_all = end.clone().drop_guard();
    loop {
        let (stream, permit) = tokio::select! {
            biased;
            () = parties.drain.cancelled() => break,
            accepted = listener::accept(&listener, &parties.connections) => accepted,
        };
        let (parties, end) = (parties.clone(), end.clone());
        tasks.spawn(async move { end.run_until_cancelled(connection(stream, permit, parties)).await });
    }
    // Before the wait: a client that connects now is refused and tries another server, instead of waiting for this one.
    drop(listener);
    tasks.close();
    tasks.wait().await;
}

/// Handles one connection. Its permit is dropped last.
async fn connection<S>(stream: TcpStream, permit: Permit, parties: Parties<S>)
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    let connection = permit.connection();
    let work = async {
        let limit = parties.connections.limits().handshake_timeout;
        match parties.tls.clone() {
            None => speak(stream, connection, &parties).await,
            Some(tls) => {
                let accepted = tokio::select! {
                    () = parties.drain.cancelled() => return Ok(()),
                    accepted = timeout(limit, tls.acceptor().accept(stream)) => accepted.map_err(|_| late())??,
                };
                // Boxed: the state of TLS is large, and the rest of the future does not need it.
                Box::pin(speak(accepted, connection, &parties)).await
            }
        }
    };
    let ended: io::Result<()> = tokio::select! {
        () = connection.cut.cancelled() => Ok(()),
        ended = work => ended,
    };
    match ended {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            parties.connections.refused(RefusalReason::Timeout, Some(connection.address));
        }
        Err(error) => tracing::debug!(%error, "connection failed"),
    }
}

async fn speak<IO, S>(io: IO, connection: &Arc<Connection>, parties: &Parties<S>) -> io::Result<()>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    let limits = *parties.connections.limits();
    let io = tokio::select! {
        () = parties.drain.cancelled() => return Ok(()),
        read = timeout(limits.handshake_timeout, read_preface(io)) => read.map_err(|_| late())??,
    };
    let calls = connection.clone();
    let (service, sift) = (parties.service.clone(), parties.sift);
    let service = service_fn(move |mut request: Request<Incoming>| {
        sift(request.headers_mut());
        calls.called();
        request.extensions_mut().insert(calls.clone());
        service.clone().oneshot(request.map(Body::new))
    });
    let http = parties.http2.builder().serve_connection(TokioIo::new(io), service);
    live(pin!(http), http2::Connection::graceful_shutdown, connection, &limits, &parties.drain).await
}

/// Drives a connection through its phases: the first call in time, its maximum age, the drain. `close` asks the client
/// to open no further calls, after which `http` ends once the open ones have ended.
async fn live<C>(
    mut http: Pin<&mut C>,
    close: impl Fn(Pin<&mut C>),
    connection: &Connection,
    limits: &ConnectionLimits,
    drain: &CancellationToken,
) -> io::Result<()>
where
    C: Future<Output = hyper::Result<()>>,
{
    let began_at = Instant::now();
    let age = jittered(limits.max_age);
    let mut phase = Phase::BeforeFirstCall;
    loop {
        let ends_at = match phase {
            Phase::BeforeFirstCall => began_at + limits.handshake_timeout,
            Phase::Open => began_at + age,
            Phase::Closing { at, .. } => at,
        };
        tokio::select! {
            ended = http.as_mut() => return ended.map_err(io::Error::other),
            () = connection.first_call(), if matches!(phase, Phase::BeforeFirstCall) => phase = Phase::Open,
            () = drain.cancelled(), if !matches!(phase, Phase::Closing { .. }) => {
                close(http.as_mut());
                // Here the limit is the server's own grace period.
                phase = Phase::Closing { at: began_at + A_YEAR, is_late: false };
            }
            () = sleep_until(ends_at) => {
                phase = match phase {
                    // A client that connected in advance of its calls acknowledges this, and reconnects when it has
                    // one.
                    Phase::BeforeFirstCall => Phase::Closing { at: Instant::now() + FAREWELL_TIMEOUT, is_late: true },
                    Phase::Open => {
                        connection.expired().cancel();
                        Phase::Closing { at: Instant::now() + limits.age_grace, is_late: false }
                    }
                    Phase::Closing { is_late, .. } => return if is_late { Err(late()) } else { Ok(()) },
                };
                close(http.as_mut());
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// No call has arrived yet.
    BeforeFirstCall,
    /// Calls may arrive at any time.
    Open,
    /// No new call is accepted, and the open ones end before `at`. `is_late`: no call arrived in time.
    Closing { at: Instant, is_late: bool },
}

/// Adds or subtracts a random part, and bounds the result, because a timer must not overflow.
fn jittered(age: Duration) -> Duration {
    age.min(A_YEAR).mul_f64(1.0 - AGE_JITTER + 2.0 * AGE_JITTER * fastrand::f64())
}

fn late() -> io::Error {
    io::ErrorKind::TimedOut.into()
}
