//! What an attempt records in its run. Each statement names the fencing token: 0 rows means that the lease is lost.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use crate::{
    domain::{AccountId, LocationId, Observation, RecordedChange, RecordedPlan, RunError, WriteIntent},
    error::Error,
    store::{
        handle::Store,
        runs::queue::lease::LeaseKey,
        statement::{StatementTime, interval},
    },
};

/// Whether an attempt may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BeginWriteResult {
    /// Yes, and its lease is renewed.
    Granted,
    /// The run's cancellation was requested.
    Cancelled,
    /// The fencing token is no longer current.
    LeaseLost,
    /// The location is no longer the tenant's, or is in another account.
    TargetChanged,
    /// A request has joined the run since the attempt read its source.
    Superseded,
}

/// What an attempt knows of its run, and hands to the next one.
#[derive(Debug, Clone, Default)]
pub struct AttemptProgress {
    /// The newest plan, if there is one.
    pub plan: Option<RecordedPlan>,
    /// The written changes of all attempts.
    pub written: Vec<RecordedChange>,
    /// The intended write, while its outcome is unknown.
    pub write_intent: Option<WriteIntent>,
    /// The observation of both sides before the write.
    pub observation: Option<Observation>,
    /// When the source was read that the attempt's plan is from, by the database's clock. `None`: it has read none.
    pub read_at: Option<DateTime<Utc>>,
}

impl Store {
    /// Records plan and intent, and checks that the attempt still holds the run, and the tenant still has the location: the last
    /// statement before a write to Google. Until the intent is settled, [`Store::update_tenant`] refuses to move the tenant.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn begin_write(
        &self,
        now: StatementTime,
        held: LeaseKey,
        progress: &AttemptProgress,
        lease: Duration,
    ) -> Result<BeginWriteResult, Error> {
        let intent = progress.write_intent.as_ref();
        let location = intent.and_then(|intent| intent.location.as_ref());
        // Whether the run was cancelled, where it was held and could be written; and whether the location is still the
        // tenant's. The tenant's row is locked before the run's, as by everything that takes both. A move that is not
        // committed yet is waited for; the condition is then checked against the row as it has become.
        let begun: (Option<bool>, bool) = sqlx::query_as(include_str!("begin_write.sql"))
            .bind(now)
            .bind(held.id)
            .bind(held.fencing_token)
            .bind(progress.plan.as_ref().map(Json))
            .bind(intent.map(Json))
            .bind(Json(&progress.written))
            .bind(interval(lease))
            .bind(location.map(LocationId::as_str))
            .bind(intent.and_then(|intent| intent.account.as_ref()).map(AccountId::as_str))
            .bind(progress.observation.as_ref().map(Json))
            .bind(progress.read_at)
            .fetch_one(&self.pool)
            .await?;
        Ok(match begun {
            (Some(true), _) => BeginWriteResult::Cancelled,
            (Some(false), _) => BeginWriteResult::Granted,
            (None, false) => BeginWriteResult::TargetChanged,
            // A statement of its own: the one above may have waited for the very join that it then found.
            (None, true) if self.is_superseded(held, progress.read_at).await? => BeginWriteResult::Superseded,
            (None, true) => BeginWriteResult::LeaseLost,
        })
    }

    /// Queues a run for its next attempt, `delay` from now, or now if its cancellation was requested and nothing is
    /// unsettled: then there is nothing left to wait for. An attempt that is not to count, because it met a failure
    /// that is not the tenant's, is released. Returns whether its lease was still held.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn retry(
        &self,
        now: StatementTime,
        held: LeaseKey,
        delay: Duration,
        counts: bool,
        error: &RunError,
        progress: &AttemptProgress,
    ) -> Result<bool, Error> {
        let done = sqlx::query(
            "update run
                set state = 'queued', lease_expires_at = null, revision = revision + 1,
                    next_attempt_at = case when cancel_requested and $9::jsonb is null then null else coalesce($1, now()) + $4 end,
                    uncounted_attempts = case when $10 then uncounted_attempts else uncounted_attempts + 1 end,
                    attempts = append_attempt(attempts, fencing_token, attempt_started_at, coalesce($1, now()), 'failed', $6),
                    reason = $5, error = $6, plan = coalesce($7, plan), written = $8, write_intent = $9,
                    observation = coalesce($11, observation)
              where id = $2 and fencing_token = $3 and state = 'running'",
        )
        .bind(now)
        .bind(held.id)
        .bind(held.fencing_token)
        .bind(interval(delay))
        .bind(error.reason.as_str())
        .bind(Json(error))
        .bind(progress.plan.as_ref().map(Json))
        .bind(Json(&progress.written))
        .bind(progress.write_intent.as_ref().map(Json))
        .bind(counts)
        .bind(progress.observation.as_ref().map(Json))
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Returns a run to the queue for an attempt that begins anew after `pause`, because this one may not go on with
    /// what it has read. It is not counted. Requests that have joined the run count as earlier than that attempt's
    /// read, even if the clock has been set back: else attempt would follow attempt until it has caught up. Returns
    /// whether its lease was still held.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn requeue(
        &self,
        now: StatementTime,
        held: LeaseKey,
        pause: Duration,
        progress: &AttemptProgress,
    ) -> Result<bool, Error> {
        let done = sqlx::query(
            "update run
                set state = 'queued', lease_expires_at = null, uncounted_attempts = uncounted_attempts + 1, revision = revision + 1,
                    next_attempt_at = case when $8 > interval '0' then coalesce($1, now()) + $8 end,
                    attempts = append_attempt(attempts, fencing_token, attempt_started_at, coalesce($1, now()), 'released', null),
                    joined_at = least(joined_at, coalesce($1, now())),
                    plan = coalesce($4, plan), written = $5, write_intent = $6, observation = coalesce($7, observation)
              where id = $2 and fencing_token = $3 and state = 'running'",
        )
        .bind(now)
        .bind(held.id)
        .bind(held.fencing_token)
        .bind(progress.plan.as_ref().map(Json))
        .bind(Json(&progress.written))
        .bind(progress.write_intent.as_ref().map(Json))
        .bind(progress.observation.as_ref().map(Json))
        .bind(interval(pause))
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Whether a held run goes on only with a source that is read after `read_at`, because a request has joined it since.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn is_superseded(&self, held: LeaseKey, read_at: Option<DateTime<Utc>>) -> Result<bool, Error> {
        Ok(sqlx::query_scalar(
            "select exists (select from run where id = $1 and fencing_token = $2 and state = 'running' and joined_at >= $3)",
        )
        .bind(held.id)
        .bind(held.fencing_token)
        .bind(read_at)
        .fetch_one(&self.pool)
        .await?)
    }
}
