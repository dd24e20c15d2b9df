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

/// How long a client may take to acknowledge that its connection ends, where no call is open on it.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);
/// How far the age of a connection is from the maximum at most: connections that came together do not go together.
const AGE_JITTER: f64 = 0.1;
const A_YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// The bounds that HTTP/2 itself knows.
#[derive(Debug, Clone, Copy)]
pub struct Http2 {
    /// A silent client is pinged this often.
    pub keepalive_interval: Duration,
    /// A ping without an answer for so long ends the connection.
    pub keepalive_timeout: Duration,
    /// Calls and streams at once; further ones wait at the client.
    pub max_concurrent_streams: u32,
    /// Bytes of a call's headers, counted as HTTP/2 does.
    pub max_header_list_size: u32,
    /// Calls that a client has taken back before the server has seen them. One that does this without end (CVE-2023-44487) loses its
    /// connection.
    pub max_pending_accept_reset_streams: usize,
    /// Calls that were refused because they broke the protocol, before the connection is given up.
    pub max_local_error_reset_streams: usize,
    /// Bytes of all requests that a connection may send before the server has read any of them.
    pub connection_window: u32,
    /// The same of one request.
    pub stream_window: u32,
    /// Bytes of one answer that wait in the transport.
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

/// What all connections of the port share.
#[derive(Clone)]
pub struct Parties<S> {
    /// What is called.
    pub service: S,
    /// `None`: plain TCP.
    pub tls: Option<Tls>,
    /// The bounds of HTTP/2.
    pub http2: Http2,
    /// Drops headers that nothing reads. It runs before the call has a task of its own: a client may send thousands before any of them begins.
    pub sift: fn(&mut HeaderMap),
    /// Which connections there are.
    pub connections: Connections,
    /// Ends connections in good order.
    pub drain: CancellationToken,
}

/// Serves until `parties.drain` is cancelled and the last connection has ended. Dropped before, it closes all connections at once.
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
    // Before the wait: whoever connects now is refused, and finds another server, rather than none.
    drop(listener);
    tasks.close();
    tasks.wait().await;
}

/// One connection. Its permit goes last.
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
                // Boxed: the state of TLS is large, and most of the future is elsewhere.
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

/// Drives a connection through its life: the first call in time, its maximum age, the drain. `close` asks the client to open no further
/// calls, after which `http` ends with those that are open.
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
                // The server's own grace period is the bound here.
                phase = Phase::Closing { at: began_at + A_YEAR, is_late: false };
            }
            () = sleep_until(ends_at) => {
                phase = match phase {
                    // A client that connects ahead of its calls acknowledges this, and connects again when it has one.
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
    /// Nothing was called yet.
    BeforeFirstCall,
    /// Calls come as they like.
    Open,
    /// No new call is accepted, and the open ones end before `at`. `is_late`: none was made in time.
    Closing { at: Instant, is_late: bool },
}

/// Adds or takes away a random part, and bounds the result: a timer must not overflow.
fn jittered(age: Duration) -> Duration {
    age.min(A_YEAR).mul_f64(1.0 - AGE_JITTER + 2.0 * AGE_JITTER * fastrand::f64())
}

fn late() -> io::Error {
    io::ErrorKind::TimedOut.into()
}
