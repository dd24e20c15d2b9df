//! Equal shares for all holders that currently use a permit.

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

/// Time that a call waits for a permit. A call takes some milliseconds, so one that waits longer is behind calls that
/// hang.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// Time after which a refused call may be sent again.
pub(super) const FULL_DELAY: Duration = Duration::from_secs(1);

/// The same number of permits for each holder, for example for each caller or each method.
#[derive(Debug)]
pub struct Shares {
    permits: usize,
    max_waiting: usize,
    problem: &'static str,
    /// Contains only holders that have a permit or wait for one.
    holders: Arc<Mutex<HashMap<String, Share>>>,
}

#[derive(Debug)]
struct Share {
    semaphore: Arc<Semaphore>,
    /// Number of calls that have a permit or wait for one.
    calls: usize,
}

impl Shares {
    /// Creates shares of `permits` each, for which `max_waiting` calls of a holder may wait. `problem` is the text of a
    /// refusal.
    #[must_use]
    pub fn new(permits: usize, max_waiting: usize, problem: &'static str) -> Self {
        Self { permits, max_waiting, problem, holders: Arc::default() }
    }

    /// Takes a permit of the holder's share; waits up to 5 seconds if none is free. Waiting calls are served in order.
    ///
    /// # Errors
    /// [`Error::RateLimited`] if too many calls wait already, or no permit is free in time.
    pub async fn take(&self, holder: &str) -> Result<SharePermit, Error> {
        timeout(ACQUIRE_TIMEOUT, self.wait(holder)).await.unwrap_or_else(|_| Err(self.full()))
    }

    /// Takes a permit of the holder's share; waits as long as necessary.
    ///
    /// # Errors
    /// [`Error::RateLimited`] if too many calls wait already.
    pub async fn wait(&self, holder: &str) -> Result<SharePermit, Error> {
        let (semaphore, _presence) = self.join(holder).ok_or_else(|| self.full())?;
        let permit = semaphore.acquire_owned().await.map_err(|closed| Error::Internal(closed.into()))?;
        Ok(SharePermit { _permit: permit, _presence })
    }

    /// Whether no call has a permit or waits for one.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.holders().is_empty()
    }

    fn full(&self) -> Error {
        Error::RateLimited { problem: self.problem, limit: self.permits, wait: FULL_DELAY }
    }

    /// Counts a call of a holder; `None` if too many calls wait.
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
        // No code panics while holding the lock.
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A permit of a share, which is freed on drop. It returns to the semaphore before the call is uncounted.
#[derive(Debug)]
pub struct SharePermit {
    _permit: OwnedSemaphorePermit,
    _presence: Presence,
}

/// A counted call. A holder without calls is forgotten, together with its semaphore, which then has all its permits.
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
