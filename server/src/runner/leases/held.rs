//! The runs that this process holds.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use crate::{
    domain::RunId,
    store::{ClaimedRun, LeaseKey, LeaseStatus},
};

/// What the process knows of a held run.
#[derive(Debug, Clone)]
struct Entry {
    fencing_token: i32,
    lease_expires_at: Instant,
    cancelled: CancellationToken,
    lost: CancellationToken,
}

/// Every lease of the process. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(in crate::runner) struct HeldLeases(Arc<Mutex<HashMap<RunId, Entry>>>);

impl HeldLeases {
    /// Notes a claim that was sent at `sent`, for as long as the returned guard lives.
    pub(in crate::runner) fn hold(&self, claimed: &ClaimedRun, sent: Instant, lease: Duration) -> HeldLease {
        let entry = Entry {
            fencing_token: claimed.fencing_token,
            // From when the claim was sent, not from its answer: the database counts from somewhere between the two, and a holder must
            // never believe in its lease for longer than the database does.
            lease_expires_at: sent + lease,
            cancelled: CancellationToken::new(),
            lost: CancellationToken::new(),
        };
        if claimed.run.cancel_requested {
            entry.cancelled.cancel();
        }
        let key = LeaseKey { id: claimed.run.id, fencing_token: claimed.fencing_token };
        let held =
            HeldLease { leases: self.clone(), key, cancelled: entry.cancelled.clone(), lost: entry.lost.clone() };
        // A run that was claimed here before takes the place of its older entry, whose guard then finds another fencing token.
        self.entries().insert(key.id, entry);
        held
    }

    /// How many are held now.
    pub(in crate::runner) fn len(&self) -> usize {
        self.entries().len()
    }

    /// What is held now.
    pub(in crate::runner) fn keys(&self) -> Vec<LeaseKey> {
        self.entries().iter().map(|(id, entry)| LeaseKey { id: *id, fencing_token: entry.fencing_token }).collect()
    }

    /// Applies the answer to a renewal of `asked` that was sent at `sent`: renewed leases, wanted cancellations, and lost leases, which
    /// are those that are missing.
    pub(super) fn apply_renewal(&self, asked: &[LeaseKey], answered: &[LeaseStatus], sent: Instant, lease: Duration) {
        let answered: HashMap<RunId, &LeaseStatus> = answered.iter().map(|status| (status.id, status)).collect();
        let mut entries = self.entries();
        for key in asked {
            // The run may have ended, or have been claimed here again, while the answer was on its way.
            let Some(entry) = entries.get_mut(&key.id).filter(|entry| entry.fencing_token == key.fencing_token) else {
                continue;
            };
            match answered.get(&key.id) {
                Some(status) => {
                    if status.renewed {
                        entry.lease_expires_at = sent + lease;
                    }
                    if status.cancel_requested {
                        entry.cancelled.cancel();
                    }
                }
                None => entry.lost.cancel(),
            }
        }
    }

    /// Notes that a caller has asked to cancel a run, if it is held here.
    pub(super) fn cancel(&self, run: RunId) {
        if let Some(entry) = self.entries().get(&run) {
            entry.cancelled.cancel();
        }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<RunId, Entry>> {
        // Nothing panics while it is held, and a map of entries is never half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The lease of one run; dropping it ends the holding, and returns nothing to the queue.
#[derive(Debug)]
pub(in crate::runner) struct HeldLease {
    leases: HeldLeases,
    /// Run and fencing token, as statements name them.
    pub(in crate::runner) key: LeaseKey,
    /// Cancelled when a caller has asked to cancel the run.
    pub(in crate::runner) cancelled: CancellationToken,
    /// Cancelled when the lease is lost.
    pub(in crate::runner) lost: CancellationToken,
}

impl HeldLease {
    /// Notes a renewal that another statement than the periodic one made, sent at `sent`.
    pub(in crate::runner) fn renewed(&self, sent: Instant, lease: Duration) {
        let mut entries = self.leases.entries();
        if let Some(entry) = entries.get_mut(&self.key.id).filter(|it| it.fencing_token == self.key.fencing_token) {
            entry.lease_expires_at = sent + lease;
        }
    }

    /// Returns when the lease expires, by this process's own clock; `None`: it is lost. A process that was stopped for a while learns it
    /// here, without a statement.
    pub(in crate::runner) fn expires_at(&self) -> Option<Instant> {
        let entries = self.leases.entries();
        let entry = entries.get(&self.key.id).filter(|entry| entry.fencing_token == self.key.fencing_token);
        entry
            .map(|entry| entry.lease_expires_at)
            .filter(|expires_at| !self.lost.is_cancelled() && Instant::now() < *expires_at)
    }
}

impl Drop for HeldLease {
    fn drop(&mut self) {
        let mut entries = self.leases.entries();
        // Not the entry of a later claim of the same run.
        if entries.get(&self.key.id).is_some_and(|entry| entry.fencing_token == self.key.fencing_token) {
            entries.remove(&self.key.id);
        }
    }
}
