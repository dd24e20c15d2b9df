//! What streams are fed from. One task per process receives wake-ups, reads each changed run once, and gives the snapshot to everyone who
//! watches it; a watcher of something that does not change costs no statement and no task.
//!
//! Level-triggered: wake-ups say when to read, and what is published is what the table says. The next scan finds what a wake-up missed.
//!
//! - `shared` is what all parts of a process share, under one lock: the `registry` of who watches what.
//! - `feeding` is the task.
//! - `watch` is one watch, with a `subscription_queue` of its own; what it reads by itself is bounded by `reads` and `memory`.

mod feeding;
mod memory;
#[cfg(test)]
mod memory_tests;
mod reads;
mod registry;
#[cfg(test)]
mod registry_model;
#[cfg(test)]
mod registry_tests;
mod shared;
mod subscription_queue;
#[cfg(test)]
mod subscription_queue_tests;
#[cfg(test)]
mod test_run;
mod watch;

use std::time::Duration;

pub(super) use self::registry::SubscriptionScope;
use self::shared::FeedState;
pub use self::watch::Watch;
use crate::{
    domain::{Batch, Caller, Run, RunId},
    error::Error,
    store::{LiveFilter, Store},
    wake::WakeUpReceiver,
};

/// The feed of a process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Feed(FeedState);

impl Feed {
    /// Creates a feed. It stays empty without [`Feed::keep_fed`].
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self(FeedState::new(store))
    }

    /// Feeds the watches: by wake-ups, and by a scan of everything that may have changed once an `interval`. Never ends.
    pub async fn keep_fed(self, wake_ups: WakeUpReceiver, interval: Duration) {
        feeding::keep_fed(self.0, wake_ups, interval).await;
    }

    /// Begins a watch of many runs. The first of the live ones are read here, so that a database that is away is noticed at once.
    pub(super) async fn watch_many(
        &self,
        scope: &SubscriptionScope,
        caller: &Caller,
        filter: LiveFilter,
    ) -> Result<Watch, Error> {
        Watch::of_many(self.0.clone(), scope, caller, filter).await
    }

    /// Begins a watch of a batch.
    pub(super) async fn watch_batch(&self, batch: &Batch, caller: &Caller, filter: LiveFilter) -> Result<Watch, Error> {
        Watch::of_batch(self.0.clone(), batch, caller, filter).await
    }

    /// Begins a watch of one run, that `read` reads.
    pub(super) async fn watch_one(
        &self,
        run: RunId,
        after_revision: i64,
        caller: &Caller,
        read: impl Future<Output = Result<Run, Error>>,
    ) -> Result<Watch, Error> {
        Watch::of_one(self.0.clone(), run, after_revision, caller, read).await
    }
}
