//! Credentials that Google rejects: the run that finds out, the runs that wait, and the end of their wait.

use std::{
    sync::{MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};

use super::{AccountClients, CredentialsOutcome};
use crate::{
    domain::{AccountId, Failure, REJECTION_RETRY_INTERVAL, Rejection},
    error::Error,
    store::{CredentialsVersion, NotedRejection},
};

/// Number of runs that are made due per statement when their wait ends.
const DUE_BATCH_SIZE: u64 = 1_000;

impl AccountClients {
    /// Records what an attempt learned about credentials that [`AccountClients::client`] returned for the same account
    /// and version, and notifies the other servers. If the database is unavailable, only the other servers are not
    /// notified.
    pub async fn record_outcome(
        &self,
        account: &AccountId,
        version: Option<&CredentialsVersion>,
        outcome: CredentialsOutcome<'_>,
    ) {
        match outcome {
            CredentialsOutcome::Rejected(failure) => drop(self.note_rejection(account, version, failure).await),
            CredentialsOutcome::Accepted => self.note_acceptance(account, version).await,
        }
    }

    /// Returns the failure of a run that was accepted at `accepted_at` and whose credentials were rejected. The run
    /// fails if it is the first to find out, or if its time to wait has passed; otherwise it waits.
    pub async fn refused(
        &self,
        account: &AccountId,
        version: Option<&CredentialsVersion>,
        failure: Failure,
        accepted_at: DateTime<Utc>,
    ) -> Failure {
        if failure.is_waiting() {
            return failure;
        }
        let now = Utc::now();
        let known_since = if failure.is_cached() {
            // Another run has just found out, and records it.
            self.known(version).map_or(now, |known| known.since)
        } else {
            match self.note_rejection(account, version, &failure).await {
                Ok(Some(NotedRejection { before: Some(before), .. })) => before,
                Ok(Some(NotedRejection { before: None, .. })) => return failure,
                // Replaced since: the run only has to wait for its next attempt.
                Ok(None) => return failure.waiting(Duration::ZERO),
                Err(_) => return failure.waiting(REJECTION_RETRY_INTERVAL),
            }
        };
        let rejection = Rejection { since: known_since, at: now, reason: reason_of(&failure).to_owned() };
        match rejection.wait(accepted_at, now) {
            Some(wait) => failure.waiting(wait),
            None => failure,
        }
    }

    /// Records that Google rejects credentials. A cached rejection has already been recorded by the run that tried
    /// them.
    async fn note_rejection(
        &self,
        account: &AccountId,
        version: Option<&CredentialsVersion>,
        failure: &Failure,
    ) -> Result<Option<NotedRejection>, Error> {
        let reason = reason_of(failure);
        let Some(version) = version else { return Ok(Some(self.note_rejection_of_default(reason))) };
        if failure.is_cached() {
            return Ok(Some(NotedRejection {
                before: self.known(Some(version)).map(|known| known.since),
                is_news: false,
            }));
        }
        let noted = self.0.store.reject_credentials(None, account, version.revision, reason).await;
        match &noted {
            Ok(Some(noted)) if noted.is_news => {
                tracing::error!(account_id = %account, reason, "google refuses an account's credentials; its runs wait or fail until it has others");
                self.count().await;
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(account_id = %account, %error, "cannot note that google refuses an account's credentials")
            }
        }
        noted
    }

    fn note_rejection_of_default(&self, reason: &str) -> NotedRejection {
        let now = Utc::now();
        let mut known = self.default_rejection();
        let before = known.as_ref().map(|known| known.since);
        *known = Some(Rejection { since: before.unwrap_or(now), at: now, reason: reason.to_owned() });
        if before.is_none() {
            metrics::gauge!("category_mirror_credentials_rejected", "credentials" => "server").set(1.0);
            tracing::error!(reason, "google refuses the server's credentials; runs wait or fail until it takes them");
        }
        NotedRejection { before, is_news: before.is_none() }
    }

    /// Records that Google accepts credentials that it had rejected, and ends the wait for that.
    async fn note_acceptance(&self, account: &AccountId, version: Option<&CredentialsVersion>) {
        let Some(version) = version else {
            if self.default_rejection().take().is_some() {
                metrics::gauge!("category_mirror_credentials_rejected", "credentials" => "server").set(0.0);
                tracing::info!("google takes the server's credentials again");
                self.end_wait(None).await;
            }
            return;
        };
        if version.rejection.is_none() {
            return;
        }
        match self.0.store.accept_credentials(account, version.revision).await {
            Ok(true) => {
                tracing::info!(account_id = %account, "google takes an account's credentials again");
                self.count().await;
                self.end_wait(Some(account)).await;
            }
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(account_id = %account, %error, "cannot note that google takes an account's credentials")
            }
        }
    }

    /// Makes the runs due that wait for an account's credentials, in batches; `None`: for the server's own. If this
    /// fails, they become due by themselves after a while.
    pub(in crate::app) async fn end_wait(&self, account: Option<&AccountId>) {
        let limit = i64::try_from(DUE_BATCH_SIZE).unwrap_or(i64::MAX);
        loop {
            match self.0.store.end_credentials_wait(None, account, limit).await {
                Ok(due) if due >= DUE_BATCH_SIZE => {}
                Ok(_) => return,
                Err(error) => {
                    let account = account.map(tracing::field::display);
                    tracing::warn!(account_id = account, %error, "cannot end the wait for credentials");
                    return;
                }
            }
        }
    }

    /// Returns the known rejection of the credentials of this version.
    fn known(&self, version: Option<&CredentialsVersion>) -> Option<Rejection> {
        match version {
            Some(version) => version.rejection.clone(),
            None => self.default_rejection().clone(),
        }
    }

    pub(super) fn default_rejection(&self) -> MutexGuard<'_, Option<Rejection>> {
        // No code panics while holding the lock.
        self.0.default_rejection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns Google's reason for rejecting credentials, as one word.
fn reason_of(failure: &Failure) -> &str {
    failure.metadata.get("oauth_error").map_or("unauthenticated", String::as_str)
}
