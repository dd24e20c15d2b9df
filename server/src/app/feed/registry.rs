//! Subscriptions, and the last published revision of each run: pure, and under one lock, so that no subscriber receives a revision twice or
//! out of order.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{
    memory::{PendingCount, Snapshots},
    subscription_queue::{CloseReason, SubscriptionQueue},
};
use crate::domain::{BatchId, OrganizationId, Run, RunId, TenantId};

/// How far a scan goes back behind the scan before it: a commit may be seen later than the time that it wrote.
const SCAN_OVERLAP: Duration = Duration::from_secs(60);
/// How long the commit of a run's end may take, for a run that was live when a watch began. What ended before is history.
const MAX_COMMIT_DELAY: TimeDelta = TimeDelta::seconds(1);
/// How long the published revision of a run is kept that no scan will find again: for a wake-up that comes late.
const PUBLISHED_RETENTION: Duration = Duration::from_secs(120);

/// What a watch is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::app) enum SubscriptionScope {
    /// One run.
    Run(RunId),
    /// The runs of these tenants.
    Tenants(Vec<TenantId>),
    /// The runs of an organization.
    Organization(OrganizationId),
    /// The runs of a batch.
    Batch(BatchId),
    /// Every run.
    Everything,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum SubscriptionKey {
    Run(RunId),
    Tenant(TenantId),
    Organization(OrganizationId),
    Batch(BatchId),
    Everything,
}

/// The keys under which a changed run is published.
fn keys_of(run: &Run) -> impl Iterator<Item = SubscriptionKey> {
    let organization = run.organization.clone().map(SubscriptionKey::Organization);
    let batch = run.batch.map(SubscriptionKey::Batch);
    [SubscriptionKey::Run(run.id), SubscriptionKey::Tenant(run.tenant.clone()), SubscriptionKey::Everything]
        .into_iter()
        .chain(organization)
        .chain(batch)
}

/// The last revision of a run that was published.
#[derive(Debug)]
struct Published {
    revision: i64,
    /// Its number among all revisions that were ever published.
    number: u64,
    at: Instant,
    ended_at: Option<DateTime<Utc>>,
}

/// What a scan has to read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ScanRange {
    /// Runs that ended after this.
    pub(super) ended_after: DateTime<Utc>,
    /// Runs that are younger than this.
    pub(super) new_after: RunId,
    /// Runs to read by name.
    pub(super) named: Vec<RunId>,
    /// Whether there is a watch of more than a single run. If not, the named ones are all.
    pub(super) is_broad: bool,
}

/// Times of the database: the beginning of the first watch, and the last scan.
#[derive(Debug, Clone, Copy)]
struct ScanProgress {
    since: DateTime<Utc>,
    last: DateTime<Utc>,
}

impl ScanProgress {
    fn ended_after(self) -> DateTime<Utc> {
        self.since.max(self.last - SCAN_OVERLAP)
    }

    /// The first id that a run of that time could have.
    fn new_after(self) -> RunId {
        let millis = u64::try_from((self.last - SCAN_OVERLAP).timestamp_millis()).unwrap_or_default();
        uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid()
    }
}

/// The registry.
#[derive(Debug, Default)]
pub(super) struct SubscriptionRegistry {
    published: HashMap<RunId, Published>,
    /// How many revisions were published.
    number: u64,
    watchers: HashMap<SubscriptionKey, Vec<(u64, Arc<SubscriptionQueue>)>>,
    count: usize,
    /// How many watches are of more than a single run.
    broad: usize,
    next_watcher: u64,
    /// `None` while there is no watch.
    scanned: Option<ScanProgress>,
    /// What waits in all queues.
    news: PendingCount,
    snapshots: Snapshots,
}

/// A watcher's entry in the registry.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) queue: Arc<SubscriptionQueue>,
    id: u64,
    keys: Vec<SubscriptionKey>,
    is_broad: bool,
    /// The number of the last revision that was published before it.
    number: u64,
}

impl SubscriptionRegistry {
    /// Adds a subscription. It receives everything that is published from now on.
    pub(super) fn subscribe(&mut self, subscription_scope: &SubscriptionScope) -> Subscription {
        let keys: Vec<SubscriptionKey> = match subscription_scope {
            SubscriptionScope::Run(run) => vec![SubscriptionKey::Run(*run)],
            // Each once: a tenant that is named twice is told once.
            SubscriptionScope::Tenants(tenants) => {
                tenants.iter().collect::<HashSet<_>>().into_iter().cloned().map(SubscriptionKey::Tenant).collect()
            }
            SubscriptionScope::Organization(organization) => vec![SubscriptionKey::Organization(organization.clone())],
            SubscriptionScope::Batch(batch) => vec![SubscriptionKey::Batch(*batch)],
            SubscriptionScope::Everything => vec![SubscriptionKey::Everything],
        };
        let is_broad = !matches!(subscription_scope, SubscriptionScope::Run(_));
        let queue = Arc::new(SubscriptionQueue::new(self.news.clone()));
        self.next_watcher += 1;
        for key in &keys {
            self.watchers.entry(key.clone()).or_default().push((self.next_watcher, queue.clone()));
        }
        self.count += 1;
        self.broad += usize::from(is_broad);
        Subscription { queue, id: self.next_watcher, keys, is_broad, number: self.number }
    }

    /// Removes a subscription. With the last one, everything is forgotten: without a watch no scan keeps it true.
    pub(super) fn unsubscribe(&mut self, subscription: &Subscription) {
        for key in &subscription.keys {
            if let Some(watchers) = self.watchers.get_mut(key) {
                if let Some(position) = watchers.iter().position(|(id, _)| *id == subscription.id) {
                    watchers.swap_remove(position);
                }
                if watchers.is_empty() {
                    self.watchers.remove(key);
                }
            }
        }
        self.count -= 1;
        self.broad -= usize::from(subscription.is_broad);
        if self.count == 0 {
            // The numbers go on, so that none is given twice. So does the count of what waits in queues, which their owners have not
            // dropped yet.
            let news = std::mem::take(&mut self.news);
            *self = Self { number: self.number, next_watcher: self.next_watcher, news, ..Self::default() };
        }
    }

    /// Whether it is known when the first watch began.
    pub(super) fn has_begun(&self) -> bool {
        self.scanned.is_some()
    }

    /// Notes when the first watch began, by the database's clock. The first call counts.
    pub(super) fn begin(&mut self, since: DateTime<Utc>) {
        // The watch may have ended while it read the time.
        if self.count > 0 {
            self.scanned.get_or_insert(ScanProgress { since: since - MAX_COMMIT_DELAY, last: since });
        }
    }

    /// Whether a change of this run concerns any watch, as far as its id tells.
    pub(super) fn concerns(&self, run: RunId) -> bool {
        self.broad > 0 || self.watchers.contains_key(&SubscriptionKey::Run(run))
    }

    /// Publishes a run as it is now to every watch that it concerns, unless this revision or a newer one was published before.
    pub(super) fn publish(&mut self, run: &Arc<Run>, now: Instant) {
        if self.count == 0 || self.published.get(&run.id).is_some_and(|published| published.revision >= run.revision) {
            return;
        }
        // Noted before it is put into the queues, and both under the same lock: a watch that subscribes later reads it for itself.
        self.number += 1;
        let published = Published { revision: run.revision, number: self.number, at: now, ended_at: run.ended_at };
        self.published.insert(run.id, published);
        let keep = self.snapshots.keep(run);
        for key in keys_of(run) {
            for (_, queue) in self.watchers.get(&key).into_iter().flatten() {
                queue.put(run, keep);
            }
        }
        if let Some(batch) = run.batch.filter(|_| run.state.is_terminal()) {
            self.notify_batch(batch);
        }
    }

    /// Has the watches of a batch check whether it has ended: its last run may have, or a wake-up named the batch itself.
    pub(super) fn notify_batch(&self, batch: BatchId) {
        for (_, queue) in self.watchers.get(&SubscriptionKey::Batch(batch)).into_iter().flatten() {
            queue.notify_batch();
        }
    }

    /// The same for all batches, because a wake-up may have been lost.
    pub(super) fn notify_all_batches(&self) {
        for key in self.watchers.keys() {
            if let SubscriptionKey::Batch(batch) = key {
                self.notify_batch(*batch);
            }
        }
    }

    /// Returns whether a watch that has read a live run by itself shows it now. If not, the run is, or was, in the watch's queue, as this
    /// revision or a newer one.
    pub(super) fn show(&mut self, subscription: &Subscription, run: &Arc<Run>, now: Instant) -> bool {
        match self.published.get(&run.id) {
            Some(published) if published.revision >= run.revision => published.number <= subscription.number,
            // It was never claimed, and every other watch was shown it when the run was created, or began later. Publishing it would take
            // memory for each run that waits.
            None if run.revision == 1 && !self.is_young(run.id) => true,
            _ => {
                self.publish(run, now);
                false
            }
        }
    }

    /// Whether the next scan will find the run as one that is new.
    fn is_young(&self, run: RunId) -> bool {
        self.scanned.is_none_or(|scanned| run > scanned.new_after())
    }

    /// What the next scan has to read; `None` while there is no watch.
    pub(super) fn scan_range(&self) -> Option<ScanRange> {
        let scanned = self.scanned?;
        let is_broad = self.broad > 0;
        let watched =
            self.watchers.keys().filter_map(|key| if let SubscriptionKey::Run(run) = key { Some(*run) } else { None });
        // A live run beyond its first revision is found by its id alone: it may be in any state by now.
        let moved = self
            .published
            .iter()
            .filter(|(_, published)| is_broad && published.ended_at.is_none() && published.revision > 1);
        let named: HashSet<RunId> = watched.chain(moved.map(|(id, _)| *id)).collect();
        Some(ScanRange {
            ended_after: scanned.ended_after(),
            new_after: scanned.new_after(),
            named: named.into_iter().collect(),
            is_broad,
        })
    }

    /// Of what a scan found, the runs with a revision that was not published.
    pub(super) fn news(&self, found: &[(RunId, i64)]) -> Vec<RunId> {
        let is_news = |run: RunId, revision| match self.published.get(&run) {
            Some(published) => revision > published.revision,
            // An old run in its first revision waits since before the first watch, and each watch has read it by itself.
            None => revision > 1 || self.is_young(run),
        };
        found.iter().filter(|(run, revision)| is_news(*run, *revision)).map(|(run, _)| *run).collect()
    }

    /// Notes that everything was scanned, at `last` by the database's clock, and forgets what no scan will find again; `gone` are runs
    /// that there are no longer.
    pub(super) fn scanned(&mut self, last: DateTime<Utc>, gone: &[RunId], now: Instant) {
        let Some(scanned) = &mut self.scanned else { return };
        scanned.last = last;
        let (ended_after, new_after) = (scanned.ended_after(), scanned.new_after());
        for run in gone {
            self.published.remove(run);
        }
        let is_broad = self.broad > 0;
        let watchers = &self.watchers;
        self.published.retain(|run, published| {
            let can_come_again = now.saturating_duration_since(published.at) < PUBLISHED_RETENTION
                || match published.ended_at {
                    Some(ended_at) => ended_at >= ended_after,
                    None => published.revision > 1 || *run > new_after,
                };
            can_come_again && (is_broad || watchers.contains_key(&SubscriptionKey::Run(*run)))
        });
        // A burst of runs is not to hold its memory for as long as the process lives.
        if self.published.capacity() > 4 * self.published.len() + 1024 {
            self.published.shrink_to_fit();
        }
    }

    /// Ends all watches.
    pub(super) fn end_all(&self, end: CloseReason) {
        for (_, queue) in self.watchers.values().flatten() {
            queue.end(end);
        }
    }
}

/// The id that is before every other.
pub(super) const FIRST: RunId = Uuid::nil();
