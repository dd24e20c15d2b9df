//! The accept loop of both ports. It never spins: what fails for want of descriptors is tried again after a pause.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    time::sleep,
};

use super::{
    permits::{Connections, Permit},
    refusals::RefusalReason,
};

/// The pause after an accept that failed for want of descriptors or memory.
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
                // It frees a descriptor as soon as its task notices; without it, silent connections would keep everyone out.
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

/// Errors of a connection that ended before it was accepted; the next one is not affected.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | Interrupted | TimedOut | WouldBlock)
}
