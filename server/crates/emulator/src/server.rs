//! The listening socket, and the connections: each ends with the emulator, or when a fault says so.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tower::Service;

use crate::api::answer::HangUp;
use crate::api::google;
use crate::control;
use crate::control::local::Peer;
use crate::state::Shared;
use crate::state::demo;

/// The emulator, bound to its address and not yet serving.
#[derive(Debug)]
pub struct Emulator {
    listener: TcpListener,
    address: SocketAddr,
    state: Shared,
}

impl Emulator {
    /// Binds to `address`; port 0 lets the system choose one.
    ///
    /// # Errors
    /// The system's, when the address is taken or not this machine's.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, state: Shared::default() })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Its base URL, `http://127.0.0.1:PORT`. The token endpoint is `/token` below it.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Adds the locations of the demo, as Google sees them.
    pub fn seed_demo(&self) {
        demo::seed(&mut self.state.lock());
    }

    /// Serves until `shutdown` is ready, then ends at once: open connections break, answers that a fault delays are never sent.
    ///
    /// # Errors
    /// None today; a connection that cannot be accepted is logged and the next one waited for.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        let router = google::routes(self.state.clone()).nest("/_control", control::routes(self.state));
        // The set aborts what it holds when it is dropped, so no connection outlives the emulator.
        let mut connections = JoinSet::new();
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => return Ok(()),
                Some(_) = connections.join_next() => {}
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, peer)) => drop(connections.spawn(connection(stream, Peer(peer), router.clone()))),
                    Err(error) => {
                        tracing::warn!(%error, "the emulator could not accept a connection");
                        // Most likely too many files are open: some time must pass before another try can succeed.
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        }
    }
}

/// Serves one connection until it ends. An error is a caller that left, or a fault at work.
async fn connection(stream: TcpStream, peer: Peer, router: Router) {
    let answer = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        let mut router = router.clone();
        async move {
            let response: Result<Response, Infallible> = router.call(request).await;
            let Ok(response) = response;
            // An error out of the service is what makes hyper close the connection without a byte of an answer.
            if response.extensions().get::<HangUp>().is_some() {
                return Err(io::Error::other("the connection is meant to break here"));
            }
            Ok(response)
        }
    });
    if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await {
        tracing::debug!(%error, "an emulator connection broke");
    }
}
