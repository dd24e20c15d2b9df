//! Slots: how many runs are executed at once, and how many of them may be bulk ones.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// One slot in so many is kept free of bulk runs, so that a run that a caller waits for need not wait for the end of one of them.
const INTERACTIVE_RESERVE_DIVISOR: usize = 5;

/// The free slots.
#[derive(Debug)]
pub(super) struct WorkerSlots {
    all: Arc<Semaphore>,
    bulk: Arc<Semaphore>,
}

/// A taken slot; dropping it frees it.
#[derive(Debug)]
pub(super) struct SlotPermit {
    _any: OwnedSemaphorePermit,
    _bulk: Option<OwnedSemaphorePermit>,
}

impl WorkerSlots {
    /// Creates so many, all free. A single slot is for every kind of run.
    pub(super) fn new(slots: usize) -> Self {
        let reserved = if slots < 2 { 0 } else { (slots / INTERACTIVE_RESERVE_DIVISOR).max(1) };
        Self { all: Arc::new(Semaphore::new(slots)), bulk: Arc::new(Semaphore::new(slots - reserved)) }
    }

    /// Takes a slot, if one is free for this kind of run.
    pub(super) fn take(&self, bulk: bool) -> Option<SlotPermit> {
        // In this order: a permit for bulk runs is given back if there is no slot at all.
        let bulk = if bulk { Some(self.bulk.clone().try_acquire_owned().ok()?) } else { None };
        Some(SlotPermit { _any: self.all.clone().try_acquire_owned().ok()?, _bulk: bulk })
    }

    /// How many are free for this kind of run.
    pub(super) fn free(&self, bulk: bool) -> usize {
        let all = self.all.available_permits();
        if bulk { all.min(self.bulk.available_permits()) } else { all }
    }

    /// Waits until one is free for this kind of run, without taking it. Cancel-safe.
    pub(super) async fn freed(&self, bulk: bool) {
        // The results are ignored, as the semaphores are never closed.
        let _of_bulk = if bulk { Some(self.bulk.acquire().await) } else { None };
        drop(self.all.acquire().await);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bulk_runs_leave_some_places() {
        let slots = WorkerSlots::new(10);
        let bulk: Vec<SlotPermit> = std::iter::from_fn(|| slots.take(true)).collect();
        assert_eq!((bulk.len(), slots.free(true), slots.free(false)), (8, 0, 2));
        let others: Vec<SlotPermit> = std::iter::from_fn(|| slots.take(false)).collect();
        assert_eq!((others.len(), slots.free(false)), (2, 0));
        drop(bulk);
        assert_eq!((slots.free(true), slots.free(false)), (8, 8));
    }

    #[test]
    fn a_single_place_is_anybodys_and_no_place_is_nobodys() {
        let single = WorkerSlots::new(1);
        assert_eq!((single.free(true), single.free(false)), (1, 1));
        let taken = single.take(true);
        assert!(taken.is_some() && single.take(false).is_none());
        assert!(WorkerSlots::new(0).take(false).is_none() && WorkerSlots::new(0).take(true).is_none());
    }

    #[tokio::test]
    async fn a_place_that_becomes_free_is_told() {
        let slots = WorkerSlots::new(2);
        let (bulk, other) = (slots.take(true), slots.take(false));
        let mut freed = std::pin::pin!(slots.freed(true));
        assert!(futures::poll!(&mut freed).is_pending());
        drop(other);
        assert!(futures::poll!(&mut freed).is_pending(), "it is not for bulk runs");
        drop(bulk);
        freed.await;
    }
}
