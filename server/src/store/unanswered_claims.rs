//! Claims without an answer: if the database has executed one, no server executes its runs until their leases expire.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use uuid::Uuid;

/// Interval between two searches for runs of unanswered claims.
const RETURN_INTERVAL: Duration = Duration::from_millis(500);

/// The unanswered claims of a process. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct UnansweredClaims(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Each with the end of its lease. The database may execute a claim long after its connection was given up, as a server that was silent
    /// executes what it had received. So it is searched for until then, and no longer: after that the run may be another server's.
    claims: Vec<(Uuid, Instant)>,
    returned_at: Option<Instant>,
}

/// A claim in progress. Dropping it without [`PendingClaim::answered`] makes it an unanswered one.
#[derive(Debug)]
pub(super) struct PendingClaim {
    id: Uuid,
    lease_expires_at: Instant,
    claims: UnansweredClaims,
    is_answered: bool,
}

impl UnansweredClaims {
    /// Begins a claim.
    pub(super) fn begin(&self, lease: Duration) -> PendingClaim {
        let (id, lease_expires_at) = (Uuid::now_v7(), Instant::now() + lease);
        PendingClaim { id, lease_expires_at, claims: self.clone(), is_answered: false }
    }

    /// Returns the claims whose runs are to be searched for now.
    pub(super) fn due(&self) -> Vec<Uuid> {
        let (mut state, now) = (self.state(), Instant::now());
        state.claims.retain(|(_, lease_expires_at)| now < *lease_expires_at);
        if state.claims.is_empty() || state.returned_at.is_some_and(|at| now - at < RETURN_INTERVAL) {
            return Vec::new();
        }
        state.returned_at = Some(now);
        state.claims.iter().map(|(id, _)| *id).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PendingClaim {
    pub(super) fn id(&self) -> Uuid {
        self.id
    }

    /// Records that the database has answered.
    pub(super) fn answered(mut self) {
        self.is_answered = true;
    }
}

impl Drop for PendingClaim {
    fn drop(&mut self) {
        if !self.is_answered {
            self.claims.state().claims.push((self.id, self.lease_expires_at));
        }
    }
}
