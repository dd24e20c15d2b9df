//! Reclaims: runs whose lease has expired return to the queue, or fail after too many expirations.

use sqlx::types::Json;

use crate::{
    domain::{Failure, FailureReason, RunError, RunId},
    error::Error,
    store::{handle::Store, history::partition::run_to_history_columns, statement::StatementTime},
};

/// A run whose lease had expired, and its new state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReclaimedRun {
    /// The run.
    pub id: RunId,
    /// Whether it failed; otherwise it is queued.
    pub failed: bool,
}

impl Store {
    /// Reclaims up to `limit` runs whose lease has expired, because the holder crashed or could not reach the database.
    /// A run that this happened to `max_expirations` times before may be what crashes its holders: it fails instead.
    /// From the second time on a run is delayed for a random time, so that it does not run beside the same runs again
    /// and fail them as well.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn reclaim_expired(
        &self,
        now: StatementTime,
        limit: i64,
        max_expirations: i32,
    ) -> Result<Vec<ReclaimedRun>, Error> {
        let message = format!(
            "run failed: its lease expired {} times, each time without a result from the server that executed it",
            max_expirations.saturating_add(1)
        );
        let failure = Failure::permanent(FailureReason::Internal, message);
        // The error of a run that may have written says so.
        let errors = [RunError::new(failure.clone(), 0), RunError::new(failure.with_unknown_write(), 0)];
        let rows =
            self.with_history_partition(now, || self.reclaim_statement(now, limit, max_expirations, &errors)).await?;
        Ok(rows.into_iter().map(|(id, failed)| ReclaimedRun { id, failed }).collect())
    }

    async fn reclaim_statement(
        &self,
        now: StatementTime,
        limit: i64,
        max_expirations: i32,
        [plain, unknown_write]: &[RunError; 2],
    ) -> Result<Vec<(RunId, bool)>, sqlx::Error> {
        sqlx::query_as(concat!(
            "with expired as materialized (
                 -- The runs whose lease has expired, and whether that happened too often.
                 select id, lease_expirations >= $3 as exhausted from run
                  where state = 'running' and lease_expires_at < coalesce($1, now())
                  order by lease_expires_at
                  limit $2
                    for update skip locked
             ), queued as (
                 -- Those that return to the queue.
                 update run
                    set state = 'queued', uncounted_attempts = uncounted_attempts + 1, lease_expirations = lease_expirations + 1, revision = revision + 1,
                        lease_expires_at = null,
                        attempts = append_attempt(attempts, fencing_token, attempt_started_at, coalesce($1, now()), 'lease_expired', null),
                        next_attempt_at = case when lease_expirations > 0 then coalesce($1, now()) + random() * lease_expirations * interval '1 second' end
                  where id = any (array(select id from expired where not exhausted))
                 returning id
             ), ended as (
                 -- Those that fail instead.
                 delete from run
                  where id = any (array(select id from expired where exhausted))
                 returning ",
            run_to_history_columns!(),
            ",
                           'failed' as end_state, $4::jsonb ->> 'reason' as end_reason,
                           case when write_intent is null then $4::jsonb else $5::jsonb end
                               || jsonb_build_object('attempt', fencing_token - uncounted_attempts) as end_error, plan as end_plan,
                           written as end_written, write_intent as end_write_intent, created as end_created, updated as end_updated,
                           deleted as end_deleted, unmapped as end_unmapped, uncounted_attempts + 1 as end_handed_back,
                           cancel_requested as end_cancel_requested
             ), moved as (
                 -- Their rows in the history.
                 ",
            include_str!("../../history/insert_into_history.sql"),
            "returning id, tenant_id, ended_at
             ), found as (
                 -- That their tenants' state is unknown, where such a run may have written.
                 select id as run, end_write_intent ->> 'location' as location, 'unknown' as cause, null as digest, false as matches_baseline,
                        null::jsonb as desired, null::jsonb as google, null::jsonb as baseline, null::jsonb as written,
                        jsonb_build_object('set', end_write_intent -> 'after') as unresolved, null::jsonb as resolved,
                        null::timestamptz as overwritten_at, false as in_conflict
                   from ended
                  where end_write_intent ->> 'location' is not null
             ), recorded as (
                 -- The sync state of these tenants.
                 ",
            include_str!("../upsert_tenant_sync.sql"),
            ")
             select id, false from queued
              union all
             select id, true from moved"
        ))
        .bind(now)
        .bind(limit)
        .bind(max_expirations)
        .bind(Json(plain))
        .bind(Json(unknown_write))
        .fetch_all(&self.pool)
        .await
    }
}
