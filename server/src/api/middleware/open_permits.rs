//! Places of what callers without a verified token have open: in all, and of one address.
//!
//! Invariant: a connection that holds many places keeps no other one out. If an address or the process has no place left, the connection
//! that holds the most of them there loses its oldest one, as the oldest connection without a token makes room for a newcomer. So a flood
//! over some connections displaces itself, also behind a load balancer, where every caller has the same address.

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

/// When to try again.
const FULL_RETRY_AFTER: Duration = Duration::from_secs(1);

/// Which connection makes room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum Displaces {
    /// The one with the most places, in any case: for what takes microseconds, so that whatever is old is held on purpose.
    Always,
    /// The same, but only one that holds more than the newcomer: for what lasts, and would be taken from each other in turn.
    Heavier,
}

/// What may be open at once.
#[derive(Debug, Clone, Copy)]
pub(in crate::api) struct PermitLimits {
    /// In all.
    pub(in crate::api) total: usize,
    /// Of one address, as [`ConnectionLimits::max_per_address`] counts them.
    pub(in crate::api) per_address: usize,
}

impl PermitLimits {
    /// Returns limits in which one address has the part of all places that it may have of all connections. So `MAX_CONNECTIONS_PER_ADDRESS`,
    /// raised behind a proxy, raises these, too.
    pub(in crate::api) fn new(total: usize, connections: &ConnectionLimits) -> Self {
        let ConnectionLimits { max_connections, max_per_address, .. } = *connections;
        let part = total.saturating_mul(max_per_address.min(max_connections)) / max_connections.max(1);
        Self { total, per_address: part.clamp(1, total.max(1)) }
    }
}

/// The places. Cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::api) struct OpenPermits {
    limits: PermitLimits,
    displaces: Displaces,
    /// What there are too many of, for the error.
    problem: &'static str,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    next_id: u64,
    permits: HashMap<u64, LeaseKey>,
    /// Only of those that hold any; `None` where the transport does not say.
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
struct LeaseKey {
    connection: Option<u64>,
    displaced: CancellationToken,
}

impl OpenPermits {
    pub(in crate::api) fn new(limits: PermitLimits, displaces: Displaces, problem: &'static str) -> Self {
        Self { limits, displaces, problem, state: Arc::default() }
    }

    /// Takes a place for a call over `connection`.
    ///
    /// # Errors
    /// [`Error::RateLimited`] if there is none, and no other connection has to make room; nothing is taken.
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

    /// The error of a call that has lost its place.
    pub(in crate::api) fn displaced(&self) -> Error {
        self.full(self.limits.total)
    }

    /// Returns how many places are taken.
    #[cfg(test)]
    pub(in crate::api) fn taken(&self) -> usize {
        self.state().permits.len()
    }

    fn full(&self, limit: usize) -> Error {
        Error::RateLimited { problem: self.problem, limit, wait: FULL_RETRY_AFTER }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, connection: Option<u64>, address: Option<IpAddr>) -> u64 {
        self.next_id += 1;
        let id = self.next_id;
        self.permits.insert(id, LeaseKey { connection, displaced: CancellationToken::new() });
        let own = self.connections.entry(connection);
        own.or_insert_with(|| OfConnection { address, permits: BTreeSet::new() }).permits.insert(id);
        if let Some(address) = address {
            *self.addresses.entry(address).or_default() += 1;
        }
        id
    }

    /// Removes a place from the books. The second removal, by the place itself, finds nothing.
    fn remove(&mut self, id: u64) -> Option<LeaseKey> {
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

    /// The oldest place of the connection with the most places, of `address` if there is one, and how many it holds; of several such
    /// connections, the one whose oldest place is the oldest.
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

/// A place. Dropped, it is free, unless it was displaced before.
#[derive(Debug)]
pub(in crate::api) struct OpenPermit {
    id: u64,
    permits: OpenPermits,
}

impl OpenPermit {
    /// Returns a token that is cancelled when the place goes to another call: this one is to end at once.
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
