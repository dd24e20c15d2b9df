//! What an attempt writes into its run. Each statement names the fence: 0 rows means that the run is in other hands.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::types::Json;

use super::{Held, Now, Store, interval};
use crate::{
    domain::{CategorySet, Change, RecordedChange, RecordedPlan, RunError},
    error::Error,
};

/// What an attempt is about to write: kept until it is known whether the write took effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The target before.
    pub before: Option<CategorySet>,
    /// The target after.
    pub after: CategorySet,
    /// The way from one to the other.
    pub changes: Vec<Change>,
}

/// Whether an attempt may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BeginWrite {
    /// It may, and its lease was renewed.
    Go,
    /// Somebody cancelled the run.
    Cancelled,
    /// The run is in other hands.
    Lost,
}

/// What an attempt knows of its run, and passes on to the next one.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// The newest plan, where there is one.
    pub plan: Option<RecordedPlan>,
    /// What was written, over all attempts.
    pub written: Vec<RecordedChange>,
    /// What was begun and is not known to be written.
    pub intent: Option<Intent>,
}

impl Store {
    /// Records plan and intent, and asks whether the attempt still holds the run: the last statement before a write to the other side.
    ///
    /// # Errors
    /// The database's.
    pub async fn begin_write(
        &self,
        now: Now,
        held: Held,
        progress: &Progress,
        lease: Duration,
    ) -> Result<BeginWrite, Error> {
        let row: Option<(bool,)> = sqlx::query_as(
            "update run
                set plan = case when cancel_requested then plan else $4 end,
                    intent = case when cancel_requested then intent else $5 end,
                    written = $6,
                    lease_until = coalesce($1, now()) + $7,
                    revision = revision + 1
              where id = $2 and attempt = $3 and state = 'running' and lease_until > coalesce($1, now())
             returning cancel_requested",
        )
        .bind(now)
        .bind(held.id)
        .bind(held.fence)
        .bind(progress.plan.as_ref().map(Json))
        .bind(progress.intent.as_ref().map(Json))
        .bind(Json(&progress.written))
        .bind(interval(lease))
        .fetch_optional(&self.pool)
        .await?;
        Ok(match row {
            None => BeginWrite::Lost,
            Some((true,)) => BeginWrite::Cancelled,
            Some((false,)) => BeginWrite::Go,
        })
    }

    /// Queues a run for its next attempt, `delay` from now, or now when somebody cancelled it: there is nothing left to wait for. An
    /// attempt that is not to count, because it met a failure that is not the tenant's, is handed back. Gives whether it was still held.
    ///
    /// # Errors
    /// The database's.
    pub async fn retry(
        &self,
        now: Now,
        held: Held,
        delay: Duration,
        counts: bool,
        error: &RunError,
        progress: &Progress,
    ) -> Result<bool, Error> {
        let done = sqlx::query(
            "update run
                set state = 'queued', lease_until = null, revision = revision + 1,
                    due_at = case when cancel_requested then null else coalesce($1, now()) + $4 end,
                    handed_back = case when $10 then handed_back else handed_back + 1 end,
                    reason = $5, error = $6, plan = coalesce($7, plan), written = $8, intent = $9
              where id = $2 and attempt = $3 and state = 'running'",
        )
        .bind(now)
        .bind(held.id)
        .bind(held.fence)
        .bind(interval(delay))
        .bind(error.reason.as_str())
        .bind(Json(error))
        .bind(progress.plan.as_ref().map(Json))
        .bind(Json(&progress.written))
        .bind(progress.intent.as_ref().map(Json))
        .bind(counts)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }
}
