//! A bounded count of bytes that several holders share.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The account would exceed its limit; nothing was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full {
    /// The limit in bytes.
    pub limit: usize,
}

/// Bytes in use, never more than a limit.
#[derive(Debug)]
pub struct Account {
    used: AtomicUsize,
    limit: usize,
}

impl Account {
    /// Creates an empty account that holds up to `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { used: AtomicUsize::new(0), limit }
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// [`Full`] if that would exceed the limit; nothing is added.
    pub fn add(&self, bytes: usize) -> Result<(), Full> {
        let fits = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= self.limit);
        let added = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits);
        added.map(drop).map_err(|_| Full { limit: self.limit })
    }

    /// Removes bytes that were added before.
    pub fn remove(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Returns the bytes in use.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_never_exceeds_its_limit_and_a_refusal_adds_nothing() {
        let account = Account::new(10);
        account.add(7).expect("below the limit");
        for too_much in [4, usize::MAX] {
            assert_eq!(account.add(too_much), Err(Full { limit: 10 }));
            assert_eq!(account.used(), 7);
        }
        account.add(3).expect("exactly the limit");
        account.remove(10);
        assert_eq!(account.used(), 0);
    }
}
