//! What a call holds.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::futures::TaskLocalFuture;

use super::SharePermit;
use crate::error::Error;

tokio::task_local! {
    static CURRENT: HeldPermits;
}

/// The permits of one call. They are free again when the last clone is dropped: the call has one, and each connection that it uses.
#[derive(Debug, Clone, Default)]
pub struct HeldPermits(Arc<Mutex<LeaseKey>>);

#[derive(Debug, Default)]
struct LeaseKey {
    permits: Vec<SharePermit>,
    /// Admissions that the call waits for.
    waiting: usize,
    /// Whether the caller has given the call up.
    is_abandoned: bool,
}

impl HeldPermits {
    /// Creates a holder of these permits.
    #[must_use]
    pub fn of(permits: Vec<SharePermit>) -> Self {
        Self(Arc::new(Mutex::new(LeaseKey { permits, ..LeaseKey::default() })))
    }

    /// Returns the holder of the call that is polled now. `None` outside of [`HeldPermits::within`].
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// Runs `work` as the work of these permits. Tasks that it spawns are not part of it.
    pub fn within<F: Future>(self, work: F) -> TaskLocalFuture<Self, F> {
        CURRENT.scope(self, work)
    }

    /// Waits for further permits, and holds them.
    ///
    /// # Errors
    /// Those of `admission`; the permits that are held already stay.
    pub async fn wait_for(
        &self,
        admission: impl Future<Output = Result<Vec<SharePermit>, Error>>,
    ) -> Result<(), Error> {
        self.held().waiting += 1;
        // Dropped here, the call is given up as one that waits, so the count may stay as it is.
        let permits = admission.await;
        let mut held = self.held();
        held.waiting -= 1;
        held.permits.extend(permits?);
        Ok(())
    }

    /// Whether the call has all permits that it has asked for, and so has begun to work.
    #[must_use]
    pub fn is_admitted(&self) -> bool {
        let held = self.held();
        held.waiting == 0 && !held.permits.is_empty()
    }

    /// Notes that the caller has given the call up. What of it has begun goes on.
    pub fn abandon(&self) {
        self.held().is_abandoned = true;
    }

    /// Whether the caller has given the call up: what waits to begin may be left undone.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.held().is_abandoned
    }

    fn held(&self) -> MutexGuard<'_, LeaseKey> {
        // Nothing panics while it is locked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
