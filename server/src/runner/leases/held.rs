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

/// What a held run is told.
#[derive(Debug, Clone)]
struct Entry {
    fencing_token: i32,
    lease_expires_at: Instant,
    cancelled: CancellationToken,
    lease_lost: CancellationToken,
}

/// Every claim of the process. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct HeldLeases(Arc<Mutex<HashMap<RunId, Entry>>>);

impl HeldLeases {
    /// Notes a claim that was asked for at `sent`, for as long as the guard lives.
    pub(super) fn hold(&self, claimed: &ClaimedRun, sent: Instant, lease: Duration) -> HeldLease {
        let entry = Entry {
            fencing_token: claimed.fencing_token,
            lease_expires_at: sent + lease,
            cancelled: CancellationToken::new(),
            lease_lost: CancellationToken::new(),
        };
        if claimed.run.cancel_requested {
            entry.cancelled.cancel();
        }
        let held = LeaseKey { id: claimed.run.id, fencing_token: claimed.fencing_token };
        let claim = HeldLease {
            claims: self.clone(),
            held,
            cancelled: entry.cancelled.clone(),
            lease_lost: entry.lease_lost.clone(),
        };
        self.entries().insert(held.id, entry);
        claim
    }

    /// How many are held now.
    pub(super) fn len(&self) -> usize {
        self.entries().len()
    }

    /// What is held now.
    pub(super) fn held(&self) -> Vec<LeaseKey> {
        self.entries().iter().map(|(id, entry)| LeaseKey { id: *id, fencing_token: entry.fencing_token }).collect()
    }

    /// Takes in the answer to a heartbeat that was sent at `sent`: renewed leases, wanted cancellations, and what is missing is lost.
    pub(super) fn apply_renewal(&self, asked: &[LeaseKey], answered: &[LeaseStatus], sent: Instant, lease: Duration) {
        let answered: HashMap<RunId, &LeaseStatus> =
            answered.iter().map(|apply_renewal| (apply_renewal.id, apply_renewal)).collect();
        let mut entries = self.entries();
        for held in asked {
            let Some(entry) = entries.get_mut(&held.id).filter(|entry| entry.fencing_token == held.fencing_token)
            else {
                continue;
            };
            match answered.get(&held.id) {
                Some(apply_renewal) => {
                    if apply_renewal.renewed {
                        entry.lease_expires_at = sent + lease;
                    }
                    if apply_renewal.cancel_requested {
                        entry.cancelled.cancel();
                    }
                }
                None => entry.lease_lost.cancel(),
            }
        }
    }

    /// Tells a held run that somebody wants it cancelled.
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

/// One held run; dropping it ends the holding.
#[derive(Debug)]
pub(super) struct HeldLease {
    claims: HeldLeases,
    /// Run and fencing token, as statements name them.
    pub(super) held: LeaseKey,
    /// Somebody wants the run cancelled.
    pub(super) cancelled: CancellationToken,
    /// The run is in other hands.
    pub(super) lease_lost: CancellationToken,
}

impl HeldLease {
    /// Notes a renewal that a statement other than the heartbeat made, sent at `sent`.
    pub(super) fn renewed(&self, sent: Instant, lease: Duration) {
        if let Some(entry) =
            self.claims.entries().get_mut(&self.held.id).filter(|e| e.fencing_token == self.held.fencing_token)
        {
            entry.lease_expires_at = sent + lease;
        }
    }

    /// Until when the lease runs, by this process's own clock: a process that was stopped for a while finds out here, without asking.
    /// `None`: it is lost.
    pub(super) fn lease_expires_at(&self) -> Option<Instant> {
        let entries = self.claims.entries();
        let entry = entries.get(&self.held.id).filter(|entry| entry.fencing_token == self.held.fencing_token);
        entry
            .map(|entry| entry.lease_expires_at)
            .filter(|until| !self.lease_lost.is_cancelled() && Instant::now() < *until)
    }
}

impl Drop for HeldLease {
    fn drop(&mut self) {
        let mut entries = self.claims.entries();
        if entries.get(&self.held.id).is_some_and(|entry| entry.fencing_token == self.held.fencing_token) {
            entries.remove(&self.held.id);
        }
    }
}
