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
const FULL_WAIT: Duration = Duration::from_secs(1);

/// Which connection makes room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Displaces {
    /// The one with the most places, in any case: for what takes microseconds, so that whatever is old is held on purpose.
    Always,
    /// The same, but only one that holds more than the newcomer: for what lasts, and would be taken from each other in turn.
    Heavier,
}

/// What may be open at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct PlaceLimits {
    /// In all.
    pub(super) total: usize,
    /// Of one address, as [`ConnectionLimits::max_per_address`] counts them.
    pub(super) per_address: usize,
}

impl PlaceLimits {
    /// Returns limits in which one address has the part of all places that it may have of all connections. So `MAX_CONNECTIONS_PER_ADDRESS`,
    /// raised behind a proxy, raises these, too.
    pub(super) fn new(total: usize, connections: &ConnectionLimits) -> Self {
        let ConnectionLimits { max_connections, max_per_address, .. } = *connections;
        let part = total.saturating_mul(max_per_address.min(max_connections)) / max_connections.max(1);
        Self { total, per_address: part.clamp(1, total.max(1)) }
    }
}

/// The places. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct OpenPlaces {
    limits: PlaceLimits,
    displaces: Displaces,
    /// What there are too many of, for the error.
    problem: &'static str,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    next_id: u64,
    places: HashMap<u64, Held>,
    /// Only of those that hold any; `None` where the transport does not say.
    connections: HashMap<Option<u64>, OfConnection>,
    addresses: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct OfConnection {
    address: Option<IpAddr>,
    /// Oldest first.
    places: BTreeSet<u64>,
}

#[derive(Debug)]
struct Held {
    connection: Option<u64>,
    displaced: CancellationToken,
}

impl OpenPlaces {
    pub(super) fn new(limits: PlaceLimits, displaces: Displaces, problem: &'static str) -> Self {
        Self { limits, displaces, problem, state: Arc::default() }
    }

    /// Takes a place for a call over `connection`.
    ///
    /// # Errors
    /// [`Error::RateLimited`] if there is none, and no other connection has to make room; nothing is taken.
    pub(super) fn take(&self, connection: Option<&Connection>) -> Result<OpenPlace, Error> {
        let (id, address) = (connection.map(Connection::id), connection.map(Connection::address));
        let mut state = self.state();
        let here =
            address.filter(|address| state.addresses.get(address).is_some_and(|open| *open >= self.limits.per_address));
        if here.is_some() || state.places.len() >= self.limits.total {
            let own = state.connections.get(&id).map_or(0, |own| own.places.len());
            let limit = if here.is_some() { self.limits.per_address } else { self.limits.total };
            let heaviest = state.heaviest(here).filter(|(_, places)| match self.displaces {
                Displaces::Always => true,
                Displaces::Heavier => *places > own + 1,
            });
            let (heaviest, _) = heaviest.ok_or_else(|| self.full(limit))?;
            state.displace(heaviest);
        }
        Ok(OpenPlace { id: state.add(id, address), places: self.clone() })
    }

    /// The error of a call that has lost its place.
    pub(super) fn displaced(&self) -> Error {
        self.full(self.limits.total)
    }

    /// Returns how many places are taken.
    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        self.state().places.len()
    }

    fn full(&self, limit: usize) -> Error {
        Error::RateLimited { problem: self.problem, limit, wait: FULL_WAIT }
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
        self.places.insert(id, Held { connection, displaced: CancellationToken::new() });
        let own = self.connections.entry(connection);
        own.or_insert_with(|| OfConnection { address, places: BTreeSet::new() }).places.insert(id);
        if let Some(address) = address {
            *self.addresses.entry(address).or_default() += 1;
        }
        id
    }

    /// Removes a place from the books. The second removal, by the place itself, finds nothing.
    fn remove(&mut self, id: u64) -> Option<Held> {
        let held = self.places.remove(&id)?;
        let own = self.connections.get_mut(&held.connection)?;
        own.places.remove(&id);
        let (address, is_last) = (own.address, own.places.is_empty());
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
        let held = there.filter_map(|own| Some((*own.places.first()?, own.places.len())));
        held.max_by_key(|(oldest, places)| (*places, std::cmp::Reverse(*oldest)))
    }

    fn displace(&mut self, id: u64) {
        if let Some(held) = self.remove(id) {
            held.displaced.cancel();
        }
    }
}

/// A place. Dropped, it is free, unless it was displaced before.
#[derive(Debug)]
pub(super) struct OpenPlace {
    id: u64,
    places: OpenPlaces,
}

impl OpenPlace {
    /// Returns a token that is cancelled when the place goes to another call: this one is to end at once.
    pub(super) fn displaced(&self) -> CancellationToken {
        let held = self.places.state().places.get(&self.id).map(|held| held.displaced.clone());
        held.unwrap_or_else(|| {
            let displaced = CancellationToken::new();
            displaced.cancel();
            displaced
        })
    }
}

impl Drop for OpenPlace {
    fn drop(&mut self) {
        self.places.state().remove(self.id);
    }
}

#[cfg(test)]
mod tests;
