//! The open connections of a port, and the permits for new ones.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use metrics::gauge;
use tokio::sync::Notify;

use super::{
    ConnectionLimits,
    connection::{Connection, PortConnections},
    port::Port,
    refusals::{RefusalReason, Refusals},
};

/// Unsent bytes of all connections of a port at which the connection with the most of them is closed.
const MAX_UNSENT_BYTES: usize = 64 * 1024 * 1024;

/// Number of displaced connections with open descriptors at which no further connection is accepted.
pub(super) const MAX_CLOSING: usize = 64;

/// The connections of one port. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Connections {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    port: Port,
    limits: ConnectionLimits,
    /// Maximum number of bytes that the requests of one connection may hold.
    request_limit: usize,
    state: Mutex<State>,
    unsent: AtomicUsize,
    /// Number of displaced connections that are not closed yet.
    closing: AtomicUsize,
    /// Notified when one of them is closed.
    closed: Notify,
    refusals: Refusals,
}

#[derive(Debug, Default)]
struct State {
    next_id: u64,
    open: HashMap<u64, Arc<Connection>>,
    /// Contains only addresses with connections.
    addresses: HashMap<IpAddr, Address>,
    /// Connections without a valid token so far, oldest first: a newer connection may displace these.
    unproven: BTreeMap<u64, IpAddr>,
}

#[derive(Debug, Default)]
struct Address {
    open: usize,
    unproven: BTreeMap<u64, ()>,
}

impl Connections {
    /// Creates the empty set of one port. The requests of each connection may hold `request_limit` bytes.
    #[must_use]
    pub fn new(port: Port, limits: ConnectionLimits, request_limit: usize) -> Self {
        let shared = Shared {
            port,
            limits,
            request_limit,
            state: Mutex::default(),
            unsent: AtomicUsize::new(0),
            closing: AtomicUsize::new(0),
            closed: Notify::new(),
            refusals: Refusals::new(port),
        };
        Self { shared: Arc::new(shared) }
    }

    pub(super) fn limits(&self) -> &ConnectionLimits {
        &self.shared.limits
    }

    /// Admits a connection from `address`. If there is no permit left, the oldest connection without a valid token is
    /// displaced, so that silent connections keep no caller out.
    ///
    /// # Errors
    /// The reason, if all connections in question have proven themselves. It is counted.
    pub fn admit(&self, address: IpAddr) -> Result<Permit, RefusalReason> {
        let network = network(address);
        let admitted = self.shared.try_admit(network, self);
        match &admitted {
            Ok(permit) => {
                gauge!("category_mirror_connections", "port" => self.shared.port.as_str()).increment(1.0);
                tracing::trace!(id = permit.connection.id, "connection accepted");
            }
            Err(reason) => self.shared.refusals.add(*reason, Some(address)),
        }
        admitted
    }

    /// Counts a connection that was closed, or not accepted, for `reason`.
    pub(super) fn refused(&self, reason: RefusalReason, address: Option<IpAddr>) {
        self.shared.refusals.add(reason, address);
    }

    /// Closes the oldest connection without a valid token, to free its descriptor.
    pub(super) fn displace_one(&self) {
        let oldest = self.shared.state().unproven.first_key_value().map(|(id, _)| *id);
        if let Some(id) = oldest {
            self.shared.displace(id);
        }
    }

    /// Waits while too many displaced connections still hold their descriptors. Cancel-safe; for a single accept loop.
    pub(super) async fn displaced_are_closed(&self) {
        while self.shared.closing.load(Ordering::Relaxed) >= MAX_CLOSING {
            // A connection that closes in between has left its notification.
            self.shared.closed.notified().await;
        }
    }
}

impl PortConnections for Connections {
    fn proven(&self, connection: &Connection) {
        let mut state = self.shared.state();
        state.unproven.remove(&connection.id);
        if let Some(address) = state.addresses.get_mut(&connection.address) {
            address.unproven.remove(&connection.id);
        }
    }

    fn add_unsent(&self, bytes: usize) {
        if self.shared.unsent.fetch_add(bytes, Ordering::Relaxed) + bytes <= MAX_UNSENT_BYTES {
            return;
        }
        let state = self.shared.state();
        // If one is closing already, it will free its bytes soon; closing a second one for the same bytes would be one
        // too many.
        let most = state.open.values().max_by_key(|connection| connection.unsent());
        if let Some(most) = most.filter(|most| !most.cut.is_cancelled()) {
            tracing::warn!(address = %most.address, limit_bytes = MAX_UNSENT_BYTES, "connection closed, too many answers are not read");
            most.cut();
        }
    }

    fn remove_unsent(&self, bytes: usize) {
        self.shared.unsent.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Shared {
    fn try_admit(&self, address: IpAddr, connections: &Connections) -> Result<Permit, RefusalReason> {
        loop {
            let mut state = self.state();
            let here = state.addresses.get(&address);
            let oldest = if here.is_some_and(|here| here.open >= self.limits.max_per_address) {
                here.and_then(|here| here.unproven.first_key_value())
                    .map(|(id, ())| *id)
                    .ok_or(RefusalReason::Address)?
            } else if state.open.len() >= self.limits.max_connections {
                state.unproven.first_key_value().map(|(id, _)| *id).ok_or(RefusalReason::Total)?
            } else {
                return Ok(self.add(&mut state, address, connections));
            };
            drop(state);
            self.displace(oldest);
        }
    }

    fn add(&self, state: &mut State, address: IpAddr, connections: &Connections) -> Permit {
        state.next_id += 1;
        let id = state.next_id;
        let connection = Arc::new(Connection::new(id, address, Arc::new(connections.clone()), self.request_limit));
        state.open.insert(id, connection.clone());
        state.unproven.insert(id, address);
        let here = state.addresses.entry(address).or_default();
        here.open += 1;
        here.unproven.insert(id, ());
        Permit { connection, connections: connections.clone() }
    }

    fn displace(&self, id: u64) {
        // Before the removal, after which the connection's permit may find that it was displaced.
        self.closing.fetch_add(1, Ordering::Relaxed);
        let Some(connection) = self.remove(id) else { return self.has_closed() };
        connection.cut();
        self.refusals.add(RefusalReason::Displaced, Some(connection.address));
    }

    fn has_closed(&self) {
        self.closing.fetch_sub(1, Ordering::Relaxed);
        self.closed.notify_one();
    }

    /// Removes a connection. The second removal, when its permit is dropped, finds nothing.
    fn remove(&self, id: u64) -> Option<Arc<Connection>> {
        let mut state = self.state();
        let connection = state.open.remove(&id)?;
        state.unproven.remove(&id);
        if let Some(here) = state.addresses.get_mut(&connection.address) {
            here.open -= 1;
            here.unproven.remove(&id);
            if here.open == 0 {
                state.addresses.remove(&connection.address);
            }
        }
        gauge!("category_mirror_connections", "port" => self.port.as_str()).decrement(1.0);
        Some(connection)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while holding the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to keep one connection open. It is freed on drop.
#[derive(Debug)]
pub struct Permit {
    pub(super) connection: Arc<Connection>,
    connections: Connections,
}

impl Permit {
    /// Returns the connection.
    #[must_use]
    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let shared = &self.connections.shared;
        if shared.remove(self.connection.id).is_none() {
            shared.has_closed();
        }
    }
}

/// Returns the address that limits count: an IPv4 address, even if it is mapped to IPv6, or the /64 network of an IPv6
/// address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests;
