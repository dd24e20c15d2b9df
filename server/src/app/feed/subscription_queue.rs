//! What waits for one watch: the newest snapshot of each run, or only its revision if there are many.

use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Unbounded},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::memory::PendingCount;
use crate::domain::{Run, RunId};

/// Snapshots that are kept for a watch that does not read them. Beyond, it gets the ids of the runs to read.
const MAX_SNAPSHOTS: usize = 256;
/// Runs that a watch may be behind. Beyond, it is faster to begin anew.
pub(super) const MAX_LAG: usize = 100_000;

/// News of one run.
#[derive(Debug, Clone)]
pub(super) enum PendingUpdate {
    /// As it is now.
    Snapshot(Arc<Run>),
    /// It has this revision by now, and has to be read.
    Revision(i64),
}

/// Why nothing more will come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CloseReason {
    /// The watch reads too slowly.
    Lagged,
    /// The database cannot be read.
    Unavailable,
}

/// What is next.
#[derive(Debug)]
pub(super) enum Delivery {
    /// News of a run.
    PendingUpdate(RunId, PendingUpdate),
    /// Nothing more.
    CloseReason(CloseReason),
}

/// The queue of a watch.
#[derive(Debug)]
pub(super) struct SubscriptionQueue {
    content: Mutex<Content>,
    filled: Notify,
    /// The news of all queues, these among them.
    count: PendingCount,
}

#[derive(Debug, Default)]
struct Content {
    news: BTreeMap<RunId, PendingUpdate>,
    snapshots: usize,
    /// The run that was taken last: the next one is that after it, so that a busy run does not keep the others back.
    taken: RunId,
    end: Option<CloseReason>,
    /// Whether the batch is to be checked.
    is_notified: bool,
}

impl SubscriptionQueue {
    /// Opens a queue whose news are counted with those of others.
    pub(super) fn new(count: PendingCount) -> Self {
        count.open_queue();
        Self { content: Mutex::default(), filled: Notify::new(), count }
    }

    /// Puts a snapshot in, in place of an older one; where it is not to be kept, only its revision.
    pub(super) fn put(&self, run: &Arc<Run>, keep: bool) {
        let mut content = self.content();
        // Its content was dropped, and would only grow again.
        if content.end.is_some() {
            return;
        }
        let is_snapshot = |news: &PendingUpdate| matches!(news, PendingUpdate::Snapshot(_));
        let replaces_snapshot = content.news.get(&run.id).is_some_and(is_snapshot);
        let keeps = keep && (replaces_snapshot || content.snapshots < MAX_SNAPSHOTS);
        let news = if keeps { PendingUpdate::Snapshot(run.clone()) } else { PendingUpdate::Revision(run.revision) };
        content.snapshots = content.snapshots - usize::from(replaces_snapshot) + usize::from(keeps);
        let is_new = content.news.insert(run.id, news).is_none();
        let here = content.news.len();
        if (is_new && self.count.add(here)) || here > MAX_LAG {
            self.end_content(&mut content, CloseReason::Lagged);
        }
        // Unlocked first, so that the reader that is woken does not wait for the lock. One permit is enough: the reader takes all there is
        // before it waits again.
        drop(content);
        self.filled.notify_one();
    }

    /// Notes that the watched batch, as a whole, may have changed.
    pub(super) fn notify_batch(&self) {
        self.content().is_notified = true;
        self.filled.notify_one();
    }

    /// Whether the batch is to be checked; resets it.
    pub(super) fn take_notification(&self) -> bool {
        std::mem::take(&mut self.content().is_notified)
    }

    /// Ends it; what it holds is dropped.
    pub(super) fn end(&self, end: CloseReason) {
        let mut content = self.content();
        self.end_content(&mut content, end);
        drop(content);
        self.filled.notify_one();
    }

    fn end_content(&self, content: &mut Content, end: CloseReason) {
        self.count.remove(content.news.len());
        content.end(end);
    }

    /// Takes what is next, if there is any.
    pub(super) fn take(&self) -> Option<Delivery> {
        let mut content = self.content();
        if let Some(end) = content.end {
            return Some(Delivery::CloseReason(end));
        }
        // Round and round in the order of ids, from where it was.
        let after = content.news.range((Excluded(content.taken), Unbounded)).next().map(|(id, _)| *id);
        let id = after.or_else(|| content.news.keys().next().copied())?;
        let news = content.news.remove(&id)?;
        self.count.remove(1);
        content.snapshots -= usize::from(matches!(news, PendingUpdate::Snapshot(_)));
        content.taken = id;
        Some(Delivery::PendingUpdate(id, news))
    }

    /// Whether there is news of this run.
    pub(super) fn has(&self, run: RunId) -> bool {
        self.content().news.contains_key(&run)
    }

    /// Waits until there may be something. Cancel-safe.
    pub(super) async fn filled(&self) {
        self.filled.notified().await;
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        // Nothing panics while it is held.
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SubscriptionQueue {
    fn drop(&mut self) {
        self.count.remove(self.content().news.len());
        self.count.close_queue();
    }
}

impl Content {
    fn end(&mut self, end: CloseReason) {
        *self = Self { end: Some(end), ..Self::default() };
    }
}
