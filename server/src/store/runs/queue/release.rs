//! Releases: claimed runs return to the queue before their leases expire, and their attempts are not counted.

use std::time::Duration;

use tokio::time::sleep;

use super::lease::{LeaseKey, columns};
use crate::{domain::RunId, error::Error, store::handle::Store};

/// Retries of the release of locked rows: for 5 s in all.
const RELEASE_MAX_RETRIES: usize = 200;
const RELEASE_RETRY_DELAY: Duration = Duration::from_millis(25);

impl Store {
    /// Releases claimed runs at once, to their former ranks in the ready queue: the attempts are not counted. A run that is being
    /// written at this moment is tried again soon: after a renewal it can be released, and after its end it need not be.
    ///
    /// A run whose write may be on its way is delayed until the end of its lease, which bounds that write: an earlier attempt
    /// might find nothing written and end the run, and the write would arrive afterwards.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn release(&self, held: &[LeaseKey]) -> Result<Vec<RunId>, Error> {
        let (mut left, mut released) = (held.to_vec(), Vec::new());
        for _ in 0..RELEASE_MAX_RETRIES {
            let (done, busy): (Vec<_>, Vec<_>) =
                self.release_unlocked(&left).await?.into_iter().partition(|(_, done)| *done);
            released.extend(done.into_iter().map(|(id, _)| id));
            left.retain(|held| busy.iter().any(|(id, _)| *id == held.id));
            if left.is_empty() {
                break;
            }
            sleep(RELEASE_RETRY_DELAY).await;
        }
        Ok(released)
    }

    /// Returns the leases that are still held, and whether each was released. Skips locked rows, as the renewal does.
    async fn release_unlocked(&self, held: &[LeaseKey]) -> Result<Vec<(RunId, bool)>, sqlx::Error> {
        let (ids, fencing_tokens) = columns(held);
        let rows = sqlx::query_as(include_str!("release.sql"));
        rows.bind(ids).bind(fencing_tokens).fetch_all(&self.pool).await
    }

    /// Releases the runs of claims of this store that had no answer. Their attempts are not counted. Does nothing
    /// if there is no such claim, or within 500 ms of the last search.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`]; the claims are kept for the next call.
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
