//! Equal shares of those who have any permit now.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::error::Error;

/// How long a call waits for a permit. A call takes some milliseconds, so one that waits longer stands behind calls that hang.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// When a call that was refused may be sent again.
pub(super) const FULL_DELAY: Duration = Duration::from_secs(1);

/// The same number of permits for each holder: for each caller, say, or each method.
#[derive(Debug)]
pub struct Shares {
    permits: usize,
    max_waiting: usize,
    problem: &'static str,
    /// Only of those who have a permit or wait for one.
    holders: Arc<Mutex<HashMap<String, Share>>>,
}

#[derive(Debug)]
struct Share {
    semaphore: Arc<Semaphore>,
    /// Calls that have a permit or wait for one.
    calls: usize,
}

impl Shares {
    /// Creates shares of `permits` each, for which `max_waiting` calls of a holder may wait. `problem` is what a refusal says.
    #[must_use]
    pub fn new(permits: usize, max_waiting: usize, problem: &'static str) -> Self {
        Self { permits, max_waiting, problem, holders: Arc::default() }
    }

    /// Takes a permit of the holder's share, and waits for up to 5 seconds where none is free. The first to wait is the first served.
    ///
    /// # Errors
    /// [`Error::RateLimited`] when too many wait already, or none is free in time.
    pub async fn take(&self, holder: &str) -> Result<SharePermit, Error> {
        timeout(ACQUIRE_TIMEOUT, self.wait(holder)).await.unwrap_or_else(|_| Err(self.full()))
    }

    /// Takes a permit of the holder's share, however long that takes.
    ///
    /// # Errors
    /// [`Error::RateLimited`] when too many wait already.
    pub async fn wait(&self, holder: &str) -> Result<SharePermit, Error> {
        let (semaphore, _presence) = self.join(holder).ok_or_else(|| self.full())?;
        let permit = semaphore.acquire_owned().await.map_err(|closed| Error::Internal(closed.into()))?;
        Ok(SharePermit { _permit: permit, _presence })
    }

    /// Whether nobody has a permit, or waits for one.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.holders().is_empty()
    }

    fn full(&self) -> Error {
        Error::RateLimited { problem: self.problem, limit: self.permits, wait: FULL_DELAY }
    }

    /// Counts a call of a holder; `None`: too many wait.
    fn join(&self, holder: &str) -> Option<(Arc<Semaphore>, Presence)> {
        let mut holders = self.holders();
        let share = holders.entry(holder.to_owned());
        let share = share.or_insert_with(|| Share { semaphore: Arc::new(Semaphore::new(self.permits)), calls: 0 });
        if share.calls >= self.permits.saturating_add(self.max_waiting) {
            return None;
        }
        share.calls += 1;
        Some((share.semaphore.clone(), Presence { holder: holder.to_owned(), holders: self.holders.clone() }))
    }

    fn holders(&self) -> MutexGuard<'_, HashMap<String, Share>> {
        // Nothing panics while it is locked.
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A permit of a share, free again when it is dropped. The semaphore gets it back before the call is no longer counted.
#[derive(Debug)]
pub struct SharePermit {
    _permit: OwnedSemaphorePermit,
    _presence: Presence,
}

/// A counted call. A holder without calls is forgotten, and with it a semaphore that has all its permits.
#[derive(Debug)]
struct Presence {
    holder: String,
    holders: Arc<Mutex<HashMap<String, Share>>>,
}

impl Drop for Presence {
    fn drop(&mut self) {
        let mut holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = holders.get_mut(&self.holder) {
            share.calls = share.calls.saturating_sub(1);
            if share.calls == 0 {
                holders.remove(&self.holder);
            }
        }
    }
}
