//! What streams are fed from. One task a process hears of changes, reads each changed run once, and hands the snapshot to whoever
//! watches it; a watcher that is quiet costs no statement and no task.
//!
//! Level-triggered: wake-ups say when to read, and what is told is what the table says. What a wake-up missed is found by the next scan.

mod memory;
mod reads;
mod registry;
#[cfg(test)]
mod registry_model;
#[cfg(test)]
mod registry_tests;
mod subscription_queue;
#[cfg(test)]
mod subscription_queue_tests;
mod watch;

use std::{
    collections::BTreeSet,
    future::ready,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::time::{sleep, sleep_until};

pub(super) use self::registry::SubscriptionScope;
pub use self::watch::Watch;
use self::{
    memory::ReadAhead,
    reads::WatchReads,
    registry::{ScanRange, SubscriptionRegistry},
    subscription_queue::CloseReason,
};
use crate::{
    domain::{Run, RunFilter, RunId},
    error::Error,
    store::Store,
    wake::{WakeUp, WakeUpReceiver},
};

/// Runs that are read at once.
const READ_BATCH_SIZE: usize = 200;
/// Ids that are asked for at once.
const REVISIONS_BATCH_SIZE: usize = 10_000;
/// Changed runs that wait to be read. Beyond, a scan finds them again.
const MAX_WANTED: usize = 100_000;
/// The shortest time between two scans.
const MIN_SCAN_INTERVAL: Duration = Duration::from_millis(200);
/// Between tries while the database is away.
const RETRY_DELAY: Duration = Duration::from_millis(500);
/// How long the database may be away before watchers are sent elsewhere.
const OUTAGE_TOLERANCE: Duration = Duration::from_secs(5);

/// The feed of a process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Feed {
    store: Store,
    registry: Arc<Mutex<SubscriptionRegistry>>,
    /// What its watches read by themselves.
    ahead: ReadAhead,
    /// How many of them read at once.
    reads: WatchReads,
}

/// What the task has to do.
struct Work {
    /// Runs that changed, and were not read since.
    wanted: BTreeSet<RunId>,
    scanned: Instant,
    /// When to scan everything again.
    next_scan: Instant,
    /// Since when the database is away.
    failing: Option<Instant>,
}

impl Feed {
    /// Makes a feed. It stays empty without [`Feed::keep_fed`].
    #[must_use]
    pub fn new(store: Store) -> Self {
        let reads = WatchReads::new(store.max_connections());
        Self { store, registry: Arc::default(), ahead: ReadAhead::default(), reads }
    }

    /// Feeds the watchers: by wake-ups, and by a scan of everything that may have changed once an `interval`. Never ends.
    pub async fn keep_fed(self, mut wake_ups: WakeUpReceiver, interval: Duration) {
        let now = Instant::now();
        let mut work = Work { wanted: BTreeSet::new(), scanned: now, next_scan: now + interval, failing: None };
        loop {
            // In this order: a scan is due even while wake-ups come without pause, and all wake-ups that are there go before one read for them.
            let done = tokio::select! {
                biased;
                () = sleep_until(work.next_scan.into()) => {
                    work.scanned = Instant::now();
                    work.next_scan = work.scanned + interval;
                    self.scan(&mut work.wanted).await
                }
                wake_up = wake_ups.next() => {
                    self.note(wake_up, &mut work);
                    continue;
                }
                () = ready(()), if !work.wanted.is_empty() => self.read(&mut work.wanted).await,
            };
            match done {
                Ok(()) => work.failing = None,
                Err(error) => self.handle_outage(&error, &mut work).await,
            }
        }
    }

    fn note(&self, wake_up: WakeUp, work: &mut Work) {
        match wake_up {
            WakeUp::Resync => work.scan_soon(),
            WakeUp::RunsChanged(ids) => {
                let registry = self.registry();
                // A batch is told of as a run is, by its id.
                ids.iter().for_each(|id| registry.notify_batch(*id));
                work.wanted.extend(ids.iter().copied().filter(|id| registry.concerns(*id)));
            }
            _ => {}
        }
        if work.wanted.len() > MAX_WANTED {
            work.wanted.clear();
            work.scan_soon();
        }
    }

    /// Reads some of the runs that changed, and tells of them.
    async fn read(&self, wanted: &mut BTreeSet<RunId>) -> Result<(), Error> {
        let ids: Vec<RunId> = wanted.iter().copied().take(READ_BATCH_SIZE).collect();
        let runs = self.store.runs(&RunFilter::default(), &ids).await?;
        for id in &ids {
            wanted.remove(id);
        }
        self.publish(runs);
        Ok(())
    }

    /// Scans everything that may have changed since the last scan.
    async fn scan(&self, wanted: &mut BTreeSet<RunId>) -> Result<(), Error> {
        let Some(ScanRange { ended_after, new_after, named, is_broad }) = self.registry().scan_range() else {
            return Ok(());
        };
        // Before the scan, so that the next one begins where this one did.
        let time = self.store.time(None).await?;
        let mut found = Vec::new();
        for named in named.chunks(REVISIONS_BATCH_SIZE) {
            found.extend(self.store.revisions(named).await?);
        }
        let there: BTreeSet<RunId> = found.iter().map(|(id, _)| *id).collect();
        let gone: Vec<RunId> = named.into_iter().filter(|id| !there.contains(id)).collect();
        if is_broad {
            found.extend(self.store.changed_runs(ended_after, new_after).await?);
        }
        let mut registry = self.registry();
        wanted.extend(registry.news(&found));
        registry.scanned(time, &gone, Instant::now());
        registry.notify_all_batches();
        Ok(())
    }

    /// What to do when the database does not answer: wait, and at last send the watchers to a server that has one.
    async fn handle_outage(&self, error: &Error, work: &mut Work) {
        let now = Instant::now();
        if work.failing.is_none() {
            let cause = std::error::Error::source(error).map(ToString::to_string);
            tracing::warn!(%error, cause, "cannot read the changes of runs; trying again");
        }
        if now.saturating_duration_since(*work.failing.get_or_insert(now)) >= OUTAGE_TOLERANCE {
            self.registry().end_all(CloseReason::Unavailable);
        }
        work.scan_soon();
        sleep(RETRY_DELAY).await;
    }

    fn publish(&self, runs: Vec<Run>) {
        let (mut registry, now) = (self.registry(), Instant::now());
        for run in runs {
            registry.publish(&Arc::new(run), now);
        }
    }

    fn registry(&self) -> MutexGuard<'_, SubscriptionRegistry> {
        // Nothing panics while it is held.
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Work {
    fn scan_soon(&mut self) {
        self.next_scan = self.next_scan.min(self.scanned + MIN_SCAN_INTERVAL);
    }
}
