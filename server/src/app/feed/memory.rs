//! What all watches of a process may hold for readers that do not read: runs that were read ahead, and news that wait in queues.
//!
//! A live run with its plan takes about 4 kB, and an entry of a queue about 60 bytes (measured), so that each bound here is one of bytes.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicUsize, Ordering},
};

use crate::domain::Run;

/// Runs that all watches together may have read ahead as they like, 16 MB.
const MAX_READ_AHEAD: usize = 4096;
/// A watch takes this part of what is free at most, so that the first ones to stop reading leave some for others.
const READ_AHEAD_DIVISOR: usize = 16;
/// What a watch may read ahead in any case, up to 64 MB together: fewer at once would cost a statement for each of a few runs.
pub(super) const MIN_READ_AHEAD: usize = 16;
pub(super) const MAX_MIN_READ_AHEAD: usize = 4 * MAX_READ_AHEAD;
/// What a watch may read ahead where even that is used up.
pub(super) const LAST_READ_AHEAD: usize = 2;
/// Snapshots of published runs that wait in queues, 16 MB. One that waits in many is one.
pub(super) const MAX_SNAPSHOTS: usize = 4096;
/// Changes that wait in all queues together, 30 MB.
pub(super) const MAX_PENDING: usize = 500_000;
/// Published runs between two searches for snapshots that nobody holds any longer, while all are held.
pub(super) const SNAPSHOT_SEARCH_INTERVAL: usize = 256;

/// How many runs the watches have read ahead. Cheap to clone.
#[derive(Debug, Default, Clone)]
pub(super) struct ReadAhead {
    pub(super) taken: Arc<AtomicUsize>,
}

impl ReadAhead {
    /// Takes room for up to `wanted` runs, and for a few in any case.
    pub(super) fn take(&self, wanted: usize) -> ReadAheadPermit {
        let mut count = 0;
        let _ = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
            // Relaxed: the counter guards no other memory, and being a little late only makes a bound a little softer.
            let free = MAX_READ_AHEAD.saturating_sub(taken);
            let least = if taken < MAX_MIN_READ_AHEAD { MIN_READ_AHEAD } else { LAST_READ_AHEAD };
            count = wanted.min((free / READ_AHEAD_DIVISOR).max(least));
            Some(taken + count)
        });
        ReadAheadPermit { of: self.clone(), count }
    }
}

/// Room for runs that a watch reads ahead. Dropped, it is free again.
#[derive(Debug)]
pub(super) struct ReadAheadPermit {
    of: ReadAhead,
    /// For how many.
    pub(super) count: usize,
}

impl ReadAheadPermit {
    /// Frees all room but that for `count` runs.
    pub(super) fn shrink_to(&mut self, count: usize) {
        let freed = self.count.saturating_sub(count);
        self.count -= freed;
        self.of.taken.fetch_sub(freed, Ordering::Relaxed);
    }
}

impl Drop for ReadAheadPermit {
    fn drop(&mut self) {
        self.of.taken.fetch_sub(self.count, Ordering::Relaxed);
    }
}

/// The published runs whose snapshots still wait in some queue.
#[derive(Debug, Default)]
pub(super) struct Snapshots {
    pub(super) kept: Vec<Weak<Run>>,
    /// How many runs come before the next search.
    until_search: usize,
}

impl Snapshots {
    /// Whether queues may keep this run as it is; if not, they keep its revision only, and it is read again for those who come for it.
    pub(super) fn keep(&mut self, run: &Arc<Run>) -> bool {
        if self.kept.len() >= MAX_SNAPSHOTS {
            if self.until_search > 0 {
                self.until_search -= 1;
                return false;
            }
            // A search costs a walk over all of them, so it is not for every run.
            self.kept.retain(|run| run.strong_count() > 0);
            self.until_search = if self.kept.len() >= MAX_SNAPSHOTS { SNAPSHOT_SEARCH_INTERVAL } else { 0 };
        }
        let keeps = self.kept.len() < MAX_SNAPSHOTS;
        if keeps {
            self.kept.push(Arc::downgrade(run));
        }
        keeps
    }
}

/// The news in all queues. Cheap to clone.
#[derive(Debug, Default, Clone)]
pub(super) struct PendingCount {
    inner: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    news: AtomicUsize,
    queues: AtomicUsize,
}

impl PendingCount {
    pub(super) fn open_queue(&self) {
        self.inner.queues.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn close_queue(&self) {
        self.inner.queues.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts one more. Returns whether the queue, which has `here` now, has to go: all together have too many, and it has more than the
    /// others on average.
    pub(super) fn add(&self, here: usize) -> bool {
        let all = self.inner.news.fetch_add(1, Ordering::Relaxed) + 1;
        all > MAX_PENDING && here > MAX_PENDING / self.inner.queues.load(Ordering::Relaxed).max(1)
    }

    pub(super) fn remove(&self, count: usize) {
        self.inner.news.fetch_sub(count, Ordering::Relaxed);
    }

    #[cfg(test)]
    pub(super) fn news(&self) -> usize {
        self.inner.news.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(super) fn queues(&self) -> usize {
        self.inner.queues.load(Ordering::Relaxed)
    }
}
