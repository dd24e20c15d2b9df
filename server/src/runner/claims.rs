//! The runs that this process holds.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use crate::{
    domain::RunId,
    store::{Claimed, Heard, Held},
};

/// What a held run is told.
#[derive(Debug, Clone)]
struct Entry {
    fence: i32,
    lease_until: Instant,
    cancelled: CancellationToken,
    lost: CancellationToken,
}

/// Every claim of the process. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Claims(Arc<Mutex<HashMap<RunId, Entry>>>);

impl Claims {
    /// Notes a claim that was asked for at `sent`, for as long as the guard lives.
    pub(super) fn hold(&self, claimed: &Claimed, sent: Instant, lease: Duration) -> Claim {
        let entry = Entry {
            fence: claimed.fence,
            lease_until: sent + lease,
            cancelled: CancellationToken::new(),
            lost: CancellationToken::new(),
        };
        if claimed.run.cancel_requested {
            entry.cancelled.cancel();
        }
        let held = Held { id: claimed.run.id, fence: claimed.fence };
        let claim = Claim { claims: self.clone(), held, cancelled: entry.cancelled.clone(), lost: entry.lost.clone() };
        self.entries().insert(held.id, entry);
        claim
    }

    /// How many are held now.
    pub(super) fn len(&self) -> usize {
        self.entries().len()
    }

    /// What is held now.
    pub(super) fn held(&self) -> Vec<Held> {
        self.entries().iter().map(|(id, entry)| Held { id: *id, fence: entry.fence }).collect()
    }

    /// Takes in the answer to a heartbeat that was sent at `sent`: renewed leases, wanted cancellations, and what is missing is lost.
    pub(super) fn heard(&self, asked: &[Held], answered: &[Heard], sent: Instant, lease: Duration) {
        let answered: HashMap<RunId, &Heard> = answered.iter().map(|heard| (heard.id, heard)).collect();
        let mut entries = self.entries();
        for held in asked {
            let Some(entry) = entries.get_mut(&held.id).filter(|entry| entry.fence == held.fence) else { continue };
            match answered.get(&held.id) {
                Some(heard) => {
                    if heard.renewed {
                        entry.lease_until = sent + lease;
                    }
                    if heard.cancel_requested {
                        entry.cancelled.cancel();
                    }
                }
                None => entry.lost.cancel(),
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
pub(super) struct Claim {
    claims: Claims,
    /// Run and fence, as statements name them.
    pub(super) held: Held,
    /// Somebody wants the run cancelled.
    pub(super) cancelled: CancellationToken,
    /// The run is in other hands.
    pub(super) lost: CancellationToken,
}

impl Claim {
    /// Notes a renewal that a statement other than the heartbeat made, sent at `sent`.
    pub(super) fn renewed(&self, sent: Instant, lease: Duration) {
        if let Some(entry) = self.claims.entries().get_mut(&self.held.id).filter(|e| e.fence == self.held.fence) {
            entry.lease_until = sent + lease;
        }
    }

    /// Until when the lease runs, by this process's own clock: a process that was stopped for a while finds out here, without asking.
    /// `None`: it is lost.
    pub(super) fn lease_until(&self) -> Option<Instant> {
        let entries = self.claims.entries();
        let entry = entries.get(&self.held.id).filter(|entry| entry.fence == self.held.fence);
        entry.map(|entry| entry.lease_until).filter(|until| !self.lost.is_cancelled() && Instant::now() < *until)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut entries = self.claims.entries();
        if entries.get(&self.held.id).is_some_and(|entry| entry.fence == self.held.fence) {
            entries.remove(&self.held.id);
        }
    }
}
