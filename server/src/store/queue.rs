//! The run table as a queue: claims, leases, and what becomes of runs whose holder is gone.

use std::time::Duration;

use sqlx::{FromRow, Row, postgres::PgRow, types::Json};

use super::{Intent, Now, Store, interval, row::RunRow};
use crate::{
    domain::{Failure, FailureReason, Run, RunError, RunId},
    error::Error,
};

/// A claimed run, with the fence that every write of this attempt names.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The run.
    pub run: Run,
    /// The fence.
    pub fence: i32,
    /// What an earlier attempt set out to write, when it is not known whether it did.
    pub intent: Option<Intent>,
}

/// A claim, as the heartbeat names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The run.
    pub id: RunId,
    /// The fence.
    pub fence: i32,
}

/// A run whose lease had expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rescued {
    /// The run.
    pub id: RunId,
    /// Whether it failed, rather than being queued again.
    pub given_up: bool,
}

impl Store {
    /// Claims at most `limit` runs that are due, oldest first, for `lease`.
    ///
    /// # Errors
    /// The database's.
    pub async fn claim(&self, now: Now, limit: i64, lease: Duration) -> Result<Vec<Claimed>, Error> {
        let rows = sqlx::query(
            "with due as materialized (
                 select id from run
                  where state = 'queued' and due_at <= coalesce($1, now())
                  order by due_at, id
                  limit $2
                    for update skip locked
             )
             update run
                set state = 'running',
                    attempt = attempt + 1,
                    revision = revision + 1,
                    lease_until = coalesce($1, now()) + $3,
                    started_at = coalesce(started_at, $1, now())
               from due
              where run.id = due.id
             returning run.*",
        )
        .bind(now)
        .bind(limit)
        .bind(interval(lease))
        .fetch_all(&self.pool)
        .await?;
        // A row that this version cannot read must not cost the others their lease: it is left to its own, and to the limit of rescues.
        let readable = rows.iter().filter_map(|row| {
            let claimed = ClaimedRow::from_row(row);
            claimed
                .inspect_err(
                    |error| tracing::error!(%error, run_id = ?row.try_get::<RunId, _>("id"), "cannot read a run"),
                )
                .ok()
        });
        Ok(readable.map(|row| row.0).collect())
    }

    /// Renews the leases of claims. Gives those still held, each with whether somebody wants it cancelled; what is missing is lost.
    ///
    /// # Errors
    /// The database's.
    pub async fn heartbeat(&self, now: Now, held: &[Held], lease: Duration) -> Result<Vec<(RunId, bool)>, Error> {
        let (ids, fences) = columns(held);
        Ok(sqlx::query_as(
            "update run
                set lease_until = coalesce($1, now()) + $4
               from unnest($2::uuid[], $3::integer[]) as held (id, attempt)
              where run.id = held.id and run.attempt = held.attempt and run.state = 'running'
             returning run.id, run.cancel_requested",
        )
        .bind(now)
        .bind(ids)
        .bind(fences)
        .bind(interval(lease))
        .fetch_all(&self.pool)
        .await?)
    }

    /// Hands claims back at once, for another worker: the attempts are not counted.
    ///
    /// # Errors
    /// The database's.
    pub async fn hand_back(&self, now: Now, held: &[Held]) -> Result<Vec<RunId>, Error> {
        let (ids, fences) = columns(held);
        let rows: Vec<(RunId,)> = sqlx::query_as(
            "update run
                set state = 'queued', handed_back = handed_back + 1, revision = revision + 1,
                    lease_until = null, due_at = coalesce($1, now())
               from unnest($2::uuid[], $3::integer[]) as held (id, attempt)
              where run.id = held.id and run.attempt = held.attempt and run.state = 'running'
             returning run.id",
        )
        .bind(now)
        .bind(ids)
        .bind(fences)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }

    /// Queues runs again whose lease has expired, at most `limit`: their holder died, or lost its way to the database. One that was
    /// handed back `patience` times already may be what kills its holders: it fails instead.
    ///
    /// # Errors
    /// The database's.
    pub async fn rescue(&self, now: Now, limit: i64, patience: i32) -> Result<Vec<Rescued>, Error> {
        let message =
            format!("given up: whoever carried the run out did not live to tell, {} times", patience.saturating_add(1));
        let error = RunError::new(Failure::permanent(FailureReason::Internal, message), 0);
        let rows: Vec<(RunId, bool)> = sqlx::query_as(
            "with expired as materialized (
                 select id, handed_back >= $3 as hopeless from run
                  where state = 'running' and lease_until < coalesce($1, now())
                  order by lease_until
                  limit $2
                    for update skip locked
             )
             update run
                set state = case when hopeless then 'failed' else 'queued' end,
                    ended_at = case when hopeless then coalesce($1, now()) end,
                    reason = case when hopeless then $4::jsonb ->> 'reason' else reason end,
                    error = case when hopeless then $4::jsonb || jsonb_build_object('attempt', attempt - handed_back) else error end,
                    handed_back = handed_back + 1, revision = revision + 1,
                    lease_until = null, due_at = coalesce($1, now())
               from expired
              where run.id = expired.id
             returning run.id, hopeless",
        )
        .bind(now)
        .bind(limit)
        .bind(patience)
        .bind(Json(error))
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|(id, given_up)| Rescued { id, given_up }).collect())
    }

    /// How long from now until the next queued run is due; `None` when none is queued.
    ///
    /// # Errors
    /// The database's.
    pub async fn next_due(&self, now: Now) -> Result<Option<Duration>, Error> {
        let (seconds,): (Option<f64>,) = sqlx::query_as(
            "select extract(epoch from min(due_at) - coalesce($1, now()))::float8 from run where state = 'queued'",
        )
        .bind(now)
        .fetch_one(&self.pool)
        .await?;
        Ok(seconds.map(|seconds| Duration::from_secs_f64(seconds.clamp(0.0, 86_400.0))))
    }
}

fn columns(held: &[Held]) -> (Vec<RunId>, Vec<i32>) {
    held.iter().map(|held| (held.id, held.fence)).unzip()
}

struct ClaimedRow(Claimed);

impl FromRow<'_, PgRow> for ClaimedRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self(Claimed {
            run: RunRow::from_row(row)?.0,
            fence: row.try_get("attempt")?,
            intent: row.try_get::<Option<Json<Intent>>, _>("intent")?.map(|json| json.0),
        }))
    }
}
