//! The permits that a call holds.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::futures::TaskLocalFuture;

use super::SharePermit;
use crate::error::Error;

tokio::task_local! {
    static CURRENT: HeldPermits;
}

/// The permits of one call. They are freed when the last clone is dropped: the call has one, and so has each connection
/// that it uses.
#[derive(Debug, Clone, Default)]
pub struct HeldPermits(Arc<Mutex<HeldState>>);

#[derive(Debug, Default)]
struct HeldState {
    permits: Vec<SharePermit>,
    /// Number of admissions that the call waits for.
    waiting: usize,
    /// Whether the caller has abandoned the call.
    is_abandoned: bool,
}

impl HeldPermits {
    /// Creates a holder of these permits.
    #[must_use]
    pub fn of(permits: Vec<SharePermit>) -> Self {
        Self(Arc::new(Mutex::new(HeldState { permits, ..HeldState::default() })))
    }

    /// Returns the holder of the call that is being polled. `None` outside of [`HeldPermits::within`].
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// Runs `work` as the work of these permits. Tasks that it spawns are not included.
    pub fn within<F: Future>(self, work: F) -> TaskLocalFuture<Self, F> {
        CURRENT.scope(self, work)
    }

    /// Waits for further permits, and adds them.
    ///
    /// # Errors
    /// Those of `admission`; the permits that are already held are kept.
    pub async fn wait_for(
        &self,
        admission: impl Future<Output = Result<Vec<SharePermit>, Error>>,
    ) -> Result<(), Error> {
        self.held().waiting += 1;
        // If it is dropped here, the call is abandoned while it waits, so the count need not be decreased.
        let permits = admission.await;
        let mut held = self.held();
        held.waiting -= 1;
        held.permits.extend(permits?);
        Ok(())
    }

    /// Whether the call has got all permits that it requested, and so has begun to work.
    #[must_use]
    pub fn is_admitted(&self) -> bool {
        let held = self.held();
        held.waiting == 0 && !held.permits.is_empty()
    }

    /// Records that the caller has abandoned the call. Work that has begun continues.
    pub fn abandon(&self) {
        self.held().is_abandoned = true;
    }

    /// Whether the caller has abandoned the call: work that has not begun may be skipped.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.held().is_abandoned
    }

    fn held(&self) -> MutexGuard<'_, HeldState> {
        // No code panics while holding the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
