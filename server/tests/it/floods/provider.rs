//! An identity provider that answers its first fetch at once, and the others late.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, routing::get};
use tokio::{net::TcpListener, sync::Notify, time::sleep};

use crate::processes::keys::key_set;

/// The key that it publishes.
pub(super) const KID: &str = "server.key";
/// How late a slow one is: within what a server waits.
const LATE: Duration = Duration::from_secs(2);

pub(super) struct Provider {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    released: Arc<Notify>,
}

impl Provider {
    /// Starts one that is slow, or one that holds each answer until it is released.
    pub(super) async fn start(is_slow: bool) -> Self {
        let (asked, released) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let (count, gate) = (asked.clone(), released.clone());
        let answer = move || async move {
            if count.fetch_add(1, Ordering::SeqCst) > 0 {
                if is_slow { sleep(LATE).await } else { gate.notified().await }
            }
            key_set(&[KID])
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/keys", get(answer))).await });
        Self { address, asked, released }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/keys", self.address)
    }

    /// How often it was asked.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// Has it answer.
    pub(super) fn release(&self) {
        self.released.notify_waiters();
    }
}
