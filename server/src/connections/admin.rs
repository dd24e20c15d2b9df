//! The admin port: plain HTTP/1, for a scraper, a probe and a person. Nothing on it takes long, so no connection lives long.

use std::{pin::pin, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    listener,
    permits::{Connections, Permit},
    refusals::RefusalReason,
};

/// How long a connection may live: a scraper connects again, and one that does not read its answer holds no descriptor for longer.
const MAX_LIFETIME: Duration = Duration::from_secs(60);
/// How long the call under way may take from then on.
const LAST_CALL_TIMEOUT: Duration = Duration::from_secs(1);
/// Bytes of a request's head: far above what any client sends here, and the least that the HTTP library takes.
const MAX_HEAD_BYTES: usize = 8 * 1024;

/// Serves until `end` is cancelled and the last connection has ended. Dropped before, it closes all connections at once.
pub async fn serve_admin(listener: TcpListener, connections: Connections, router: Router, end: CancellationToken) {
    let tasks = TaskTracker::new();
    let stop = CancellationToken::new();
    let _stop_all = stop.clone().drop_guard();
    loop {
        let (stream, permit) = tokio::select! {
            biased;
            () = end.cancelled() => break,
            accepted = listener::accept(&listener, &connections) => accepted,
        };
        let (connections, router, end, stop) = (connections.clone(), router.clone(), end.clone(), stop.clone());
        tasks
            .spawn(async move { stop.run_until_cancelled(connection(stream, permit, connections, router, end)).await });
    }
    drop(listener);
    tasks.close();
    tasks.wait().await;
}

async fn connection(
    stream: TcpStream,
    permit: Permit,
    connections: Connections,
    router: Router,
    end: CancellationToken,
) {
    let connection = permit.connection();
    let http = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(connections.limits().handshake_timeout)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut http = pin!(http);
    let ended = tokio::select! {
        () = connection.cut.cancelled() => return,
        ended = http.as_mut() => Some(ended),
        () = sleep(MAX_LIFETIME) => None,
        () = end.cancelled() => None,
    };
    match ended {
        Some(Err(error)) if error.is_timeout() => connections.refused(RefusalReason::Timeout, Some(connection.address)),
        Some(_) => {}
        None => {
            http.as_mut().graceful_shutdown();
            let _ = timeout(LAST_CALL_TIMEOUT, http).await;
        }
    }
}
