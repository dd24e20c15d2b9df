//! What the feeding task and the watches of a process share.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use super::{memory::ReadAhead, reads::WatchReads, registry::SubscriptionRegistry};
use crate::{domain::Run, store::Store};

/// Runs that one statement reads.
pub(super) const READ_BATCH_SIZE: usize = 200;

/// The shared state of a feed. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct FeedState {
    pub(super) store: Store,
    registry: Arc<Mutex<SubscriptionRegistry>>,
    /// What the watches read by themselves.
    pub(super) ahead: ReadAhead,
    /// How many of them read at once.
    pub(super) reads: WatchReads,
}

impl FeedState {
    pub(super) fn new(store: Store) -> Self {
        let reads = WatchReads::new(store.max_connections());
        Self { store, registry: Arc::default(), ahead: ReadAhead::default(), reads }
    }

    /// Publishes runs as they were read. The lock is held for all of them, and for no statement: a revision that another read has published
    /// in the meantime is older, newer or the same, and the registry tells which.
    pub(super) fn publish(&self, runs: Vec<Run>) {
        let (mut registry, now) = (self.registry(), Instant::now());
        for run in runs {
            registry.publish(&Arc::new(run), now);
        }
    }

    pub(super) fn registry(&self) -> MutexGuard<'_, SubscriptionRegistry> {
        // Nothing panics while it is held.
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
