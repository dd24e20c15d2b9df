//! The admin port: plain HTTP/1 for scrapers, probes and people. No request takes long, so no connection lives long.

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

/// Maximum lifetime of a connection: scrapers reconnect, and a client that does not read its response holds no
/// descriptor for longer.
const MAX_LIFETIME: Duration = Duration::from_secs(60);
/// Time that a running request has after that.
const LAST_CALL_TIMEOUT: Duration = Duration::from_secs(1);
/// Maximum size of a request's head: far above what any client sends here, and the minimum that the HTTP library
/// accepts.
const MAX_HEAD_BYTES: usize = 8 * 1024;

/// Serves until `end` is cancelled and the last connection has ended. If dropped earlier, it closes all connections
/// immediately.
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
