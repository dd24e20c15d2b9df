//! Permits for open calls and streams of callers without a verified token: in total and per address.
//!
//! Invariant: a connection that holds many permits keeps no other one out. If an address or the process has no permit
//! left, the connection that holds the most there loses its oldest one, just as the oldest connection without a token
//! is displaced by a newer one. So a flood over a few connections displaces itself, even behind a load balancer, where
//! all callers have the same address.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use crate::{
    connections::{Connection, ConnectionLimits},
    error::Error,
};

/// Time after which a refused caller may retry.
const FULL_RETRY_AFTER: Duration = Duration::from_secs(1);

/// Which connection loses a permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum Displaces {
    /// The one with the most permits, in any case. For calls of microseconds: a permit that is old is held on purpose.
    Always,
    /// The same, but only if it holds more than the newcomer. For long-lived calls, which would otherwise displace each
    /// other in turn.
    Heavier,
}

/// Limits of concurrently open calls.
#[derive(Debug, Clone, Copy)]
pub(in crate::api) struct PermitLimits {
    /// In total.
    pub(in crate::api) total: usize,
    /// Per address, in the sense of [`ConnectionLimits::max_per_address`].
    pub(in crate::api) per_address: usize,
}

impl PermitLimits {
    /// Returns limits in which one address has the same share of all permits as it may have of all connections. So
    /// raising `MAX_CONNECTIONS_PER_ADDRESS`, as behind a proxy, also raises these limits.
    pub(in crate::api) fn new(total: usize, connections: &ConnectionLimits) -> Self {
        let ConnectionLimits { max_connections, max_per_address, .. } = *connections;
        let part = total.saturating_mul(max_per_address.min(max_connections)) / max_connections.max(1);
        Self { total, per_address: part.clamp(1, total.max(1)) }
    }
}

/// The permits. Cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::api) struct OpenPermits {
    limits: PermitLimits,
    displaces: Displaces,
    /// Text of the error: which limit is exceeded.
    problem: &'static str,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    next_id: u64,
    permits: HashMap<u64, PermitRecord>,
    /// Contains only connections that hold permits; `None` if the transport does not identify them.
    connections: HashMap<Option<u64>, OfConnection>,
    addresses: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct OfConnection {
    address: Option<IpAddr>,
    /// Oldest first.
    permits: BTreeSet<u64>,
}

#[derive(Debug)]
struct PermitRecord {
    connection: Option<u64>,
    displaced: CancellationToken,
}

impl OpenPermits {
    pub(in crate::api) fn new(limits: PermitLimits, displaces: Displaces, problem: &'static str) -> Self {
        Self { limits, displaces, problem, state: Arc::default() }
    }

    /// Takes a permit for a call over `connection`.
    ///
    /// # Errors
    /// [`Error::RateLimited`] if there is none, and no other connection is displaced; nothing is taken.
    pub(in crate::api) fn take(&self, connection: Option<&Connection>) -> Result<OpenPermit, Error> {
        let (id, address) = (connection.map(Connection::id), connection.map(Connection::address));
        let mut state = self.state();
        let here =
            address.filter(|address| state.addresses.get(address).is_some_and(|open| *open >= self.limits.per_address));
        if here.is_some() || state.permits.len() >= self.limits.total {
            let own = state.connections.get(&id).map_or(0, |own| own.permits.len());
            let limit = if here.is_some() { self.limits.per_address } else { self.limits.total };
            let heaviest = state.heaviest(here).filter(|(_, permits)| match self.displaces {
                Displaces::Always => true,
                Displaces::Heavier => *permits > own + 1,
            });
            let (heaviest, _) = heaviest.ok_or_else(|| self.full(limit))?;
            state.displace(heaviest);
        }
        Ok(OpenPermit { id: state.add(id, address), permits: self.clone() })
    }

    /// Returns the error of a displaced call.
    pub(in crate::api) fn displaced(&self) -> Error {
        self.full(self.limits.total)
    }

    /// Returns the number of permits in use.
    #[cfg(test)]
    pub(in crate::api) fn taken(&self) -> usize {
        self.state().permits.len()
    }

    fn full(&self, limit: usize) -> Error {
        Error::RateLimited { problem: self.problem, limit, wait: FULL_RETRY_AFTER }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while holding the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, connection: Option<u64>, address: Option<IpAddr>) -> u64 {
        self.next_id += 1;
        let id = self.next_id;
        self.permits.insert(id, PermitRecord { connection, displaced: CancellationToken::new() });
        let own = self.connections.entry(connection);
        own.or_insert_with(|| OfConnection { address, permits: BTreeSet::new() }).permits.insert(id);
        if let Some(address) = address {
            *self.addresses.entry(address).or_default() += 1;
        }
        id
    }

    /// Removes a permit. The second removal, when the permit itself is dropped, finds nothing.
    fn remove(&mut self, id: u64) -> Option<PermitRecord> {
        let held = self.permits.remove(&id)?;
        let own = self.connections.get_mut(&held.connection)?;
        own.permits.remove(&id);
        let (address, is_last) = (own.address, own.permits.is_empty());
        if is_last {
            self.connections.remove(&held.connection);
        }
        if let Some(address) = address
            && let Some(open) = self.addresses.get_mut(&address)
        {
            *open -= 1;
            if *open == 0 {
                self.addresses.remove(&address);
            }
        }
        Some(held)
    }

    /// Returns the oldest permit of the connection with the most permits, of `address` if given, and the number that it
    /// holds. If several connections hold the same number, the one with the oldest permit.
    fn heaviest(&self, address: Option<IpAddr>) -> Option<(u64, usize)> {
        let there = self.connections.values().filter(|own| address.is_none() || own.address == address);
        let held = there.filter_map(|own| Some((*own.permits.first()?, own.permits.len())));
        held.max_by_key(|(oldest, permits)| (*permits, std::cmp::Reverse(*oldest)))
    }

    fn displace(&mut self, id: u64) {
        if let Some(held) = self.remove(id) {
            held.displaced.cancel();
        }
    }
}

/// A permit. It is freed on drop, unless it was displaced before.
#[derive(Debug)]
pub(in crate::api) struct OpenPermit {
    id: u64,
    permits: OpenPermits,
}

impl OpenPermit {
    /// Returns a token that is cancelled when another call displaces this one, which then has to end immediately.
    pub(in crate::api) fn displaced(&self) -> CancellationToken {
        let held = self.permits.state().permits.get(&self.id).map(|held| held.displaced.clone());
        held.unwrap_or_else(|| {
            let displaced = CancellationToken::new();
            displaced.cancel();
            displaced
        })
    }
}

impl Drop for OpenPermit {
    fn drop(&mut self) {
        self.permits.state().remove(self.id);
    }
}

#[cfg(test)]
mod tests;
