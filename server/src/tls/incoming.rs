//! Handshakes beside each other, so that a slow one keeps no other connection waiting.

use std::{io, time::Duration};

use futures::{Stream, StreamExt};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::server::TlsStream;

use super::Tls;

/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Handshakes at once; further connections wait in the system's queue.
const MAX_HANDSHAKES: usize = 1024;

/// Turns connections into encrypted ones. A handshake that fails ends its connection and nothing else.
pub fn handshakes(
    connections: impl Stream<Item = io::Result<TcpStream>>,
    tls: Tls,
) -> impl Stream<Item = io::Result<TlsStream<TcpStream>>> {
    let handshakes = connections.map(move |connection| {
        let tls = tls.clone();
        async move {
            let connection = match connection {
                Ok(connection) => connection,
                Err(error) => return Some(Err(error)),
            };
            match timeout(HANDSHAKE_TIMEOUT, tls.acceptor().accept(connection)).await {
                Ok(Ok(stream)) => Some(Ok(stream)),
                Ok(Err(error)) => {
                    tracing::debug!(%error, "TLS handshake failed");
                    None
                }
                Err(_) => None,
            }
        }
    });
    handshakes.buffer_unordered(MAX_HANDSHAKES).filter_map(std::future::ready)
}
