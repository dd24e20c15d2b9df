//! One accepted connection, as the layers above see it.

use std::{
    fmt,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::account::Account;

/// Unsent bytes of a connection at which its streams pause. A stream that resumes adds one message, so streams alone
/// stay near this value.
const STREAMS_PAUSE_BYTES: usize = 4 * 1024 * 1024;
/// Unsent bytes at which a connection is closed: 80 pages of a thousand tenants that the caller requested and does not
/// read.
const MAX_UNSENT_BYTES: usize = 16 * 1024 * 1024;

/// The connections of a port together, as one of them sees them.
pub(super) trait PortConnections: fmt::Debug + Send + Sync {
    /// Records that a valid token has arrived over the connection.
    fn proven(&self, connection: &Connection);
    /// Counts bytes that a connection hands to its transport.
    fn add_unsent(&self, bytes: usize);
    /// Counts bytes that a transport has sent, or dropped.
    fn remove_unsent(&self, bytes: usize);
}

/// A connection. It exists as long as any part of it does: the socket, a call, a response.
#[derive(Debug)]
pub struct Connection {
    pub(super) id: u64,
    pub(super) address: IpAddr,
    connections: Arc<dyn PortConnections>,
    is_proven: AtomicBool,
    has_called: Notify,
    /// Open calls without a token, apart from health watches that have their permit.
    pub(super) open_calls: AtomicUsize,
    request_bytes: Account,
    unsent: AtomicUsize,
    /// Notified when streams may resume.
    room: Notify,
    /// Cancelled to close the connection immediately.
    pub(super) cut: CancellationToken,
    /// Cancelled when the connection reaches its maximum age.
    expired: CancellationToken,
}

impl Connection {
    pub(super) fn new(id: u64, address: IpAddr, connections: Arc<dyn PortConnections>, request_limit: usize) -> Self {
        Self {
            id,
            address,
            connections,
            is_proven: AtomicBool::new(false),
            has_called: Notify::new(),
            open_calls: AtomicUsize::new(0),
            request_bytes: Account::new(request_limit),
            unsent: AtomicUsize::new(0),
            room: Notify::new(),
            cut: CancellationToken::new(),
            expired: CancellationToken::new(),
        }
    }

    /// Marks the connection as one over which a valid token has arrived, so that no newer connection displaces it.
    pub fn prove(&self) {
        if !self.is_proven.swap(true, Ordering::Relaxed) {
            self.connections.proven(self);
        }
    }

    /// Returns a number that no other connection of the port has.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Returns the address that limits count: for IPv6, the /64 network.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Records that the headers of a call have arrived.
    pub(super) fn called(&self) {
        self.has_called.notify_one();
    }

    /// Waits for the headers of the first call.
    pub(super) async fn first_call(&self) {
        self.has_called.notified().await;
    }

    /// Closes the connection immediately, with all of its calls.
    pub fn cut(&self) {
        self.cut.cancel();
    }

    /// Returns a token that is cancelled when the connection reaches its maximum age, which ends long streams.
    #[must_use]
    pub fn expired(&self) -> &CancellationToken {
        &self.expired
    }

    /// Returns the account of the memory that its requests hold.
    #[must_use]
    pub fn request_bytes(&self) -> &Account {
        &self.request_bytes
    }

    /// Reserves one of `limit` permits for a call without a token; `false` if all are taken. Each `true` needs one
    /// [`Self::end_open_call`].
    #[must_use]
    pub fn begin_open_call(&self, limit: usize) -> bool {
        let next = |open: usize| (open < limit).then_some(open + 1);
        self.open_calls.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
    }

    /// Frees the permit of a call without a token.
    pub fn end_open_call(&self) {
        self.open_calls.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts bytes of a response that are handed to the transport, until the result is dropped. If they exceed the
    /// limit of this connection, it is closed. If they exceed the limit of the process, the connection with the most
    /// unsent bytes is closed.
    #[must_use]
    pub fn unsent_bytes(self: &Arc<Self>, bytes: usize) -> UnsentBytes {
        let unsent = UnsentBytes { connection: self.clone(), bytes };
        if self.unsent.fetch_add(bytes, Ordering::Relaxed) + bytes > MAX_UNSENT_BYTES && !self.cut.is_cancelled() {
            tracing::warn!(address = %self.address, limit_bytes = MAX_UNSENT_BYTES, "connection closed, its answers are not read");
            self.cut();
        }
        self.connections.add_unsent(bytes);
        unsent
    }

    /// Returns the number of unsent bytes.
    pub(super) fn unsent(&self) -> usize {
        self.unsent.load(Ordering::Relaxed)
    }

    /// Waits until a stream may add to the unsent bytes. Cancel-safe.
    pub async fn room_for_streams(&self) {
        loop {
            // Enabled before the check, so that a notification in between is not lost.
            let mut room = std::pin::pin!(self.room.notified());
            room.as_mut().enable();
            if self.has_room_for_streams() {
                return;
            }
            room.await;
        }
    }

    /// Whether a stream may add to the unsent bytes now.
    #[must_use]
    pub fn has_room_for_streams(&self) -> bool {
        self.unsent() < STREAMS_PAUSE_BYTES
    }
}

/// Bytes of a response that the transport has not sent yet.
#[derive(Debug)]
pub struct UnsentBytes {
    connection: Arc<Connection>,
    bytes: usize,
}

impl Drop for UnsentBytes {
    fn drop(&mut self) {
        let before = self.connection.unsent.fetch_sub(self.bytes, Ordering::Relaxed);
        self.connection.connections.remove_unsent(self.bytes);
        if before >= STREAMS_PAUSE_BYTES && before - self.bytes < STREAMS_PAUSE_BYTES {
            self.connection.room.notify_waiters();
        }
    }
}
