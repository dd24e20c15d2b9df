//! The accept loop of both ports. It never spins: an accept that fails for lack of descriptors is retried after a
//! delay.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    time::sleep,
};

use super::{
    permits::{Connections, Permit},
    refusals::RefusalReason,
};

/// Delay after an accept that failed for lack of descriptors or memory.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// Waits for the next connection that is admitted. Cancel-safe.
pub(super) async fn accept(listener: &TcpListener, connections: &Connections) -> (TcpStream, Permit) {
    loop {
        connections.displaced_are_closed().await;
        match listener.accept().await {
            Ok((stream, peer)) => {
                if let Ok(permit) = admit(&stream, peer, connections) {
                    return (stream, permit);
                }
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::debug!(%error, "failed to accept a connection");
                connections.refused(RefusalReason::Descriptors, None);
                // This frees a descriptor as soon as the connection's task notices. Without it, silent connections
                // would keep all others out.
                connections.displace_one();
                sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
    }
}

fn admit(stream: &TcpStream, peer: SocketAddr, connections: &Connections) -> Result<Permit, RefusalReason> {
    let permit = connections.admit(peer.ip())?;
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "failed to set TCP_NODELAY");
    }
    Ok(permit)
}

/// Errors of a connection that ended before it was accepted; they do not affect the next one.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | Interrupted | TimedOut | WouldBlock)
}
