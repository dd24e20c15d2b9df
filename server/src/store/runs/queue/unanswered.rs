//! Claims that had no answer: the database may have carried them out, and nobody would execute their runs before their leases expire.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use uuid::Uuid;

use crate::{domain::RunId, error::Error, store::handle::Store};

/// Between two looks for runs of unanswered claims.
const RETURN_INTERVAL: Duration = Duration::from_millis(500);

/// The unanswered claims of a process. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(in crate::store) struct UnansweredClaims(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Each with the end of its lease. A claim may be carried out long after its connection was given up, as a server that was silent
    /// executes what it had received; so it is looked for until then, and no longer: after that the run may be another server's.
    claims: Vec<(Uuid, Instant)>,
    returned_at: Option<Instant>,
}

/// A claim that has no answer yet. Dropped, it is an unanswered one.
#[derive(Debug)]
pub(in crate::store) struct PendingClaim {
    id: Uuid,
    lease_expires_at: Instant,
    claims: UnansweredClaims,
    is_answered: bool,
}

impl UnansweredClaims {
    /// Begins a claim.
    pub(in crate::store) fn begin(&self, lease: Duration) -> PendingClaim {
        let (id, lease_expires_at) = (Uuid::now_v7(), Instant::now() + lease);
        PendingClaim { id, lease_expires_at, claims: self.clone(), is_answered: false }
    }

    /// Those to look for now.
    fn due(&self) -> Vec<Uuid> {
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
    pub(in crate::store) fn id(&self) -> Uuid {
        self.id
    }

    /// Notes that the database has answered.
    pub(in crate::store) fn answered(mut self) {
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

impl Store {
    /// Returns runs to the queue that were claimed by a claim of this store without an answer. Their attempts are not counted. Does nothing
    /// where there is no such claim, or where one was looked for a moment ago.
    ///
    /// # Errors
    /// The database's; they are looked for again.
    pub async fn return_unanswered_claims(&self) -> Result<Vec<RunId>, Error> {
        let claims = self.unanswered.due();
        if claims.is_empty() {
            return Ok(Vec::new());
        }
        let returned = sqlx::query_scalar(
            "update run
                set state = 'queued', uncounted_attempts = uncounted_attempts + 1, revision = revision + 1, lease_expires_at = null, claim_id = null,
                    attempts = append_attempt(attempts, fencing_token, attempt_started_at, now(), 'released', null)
              where id = any (array(select id from run where state = 'running' and claim_id = any ($1) for update skip locked))
             returning id",
        );
        Ok(returned.bind(claims).fetch_all(&self.queue_pool).await?)
    }
}
