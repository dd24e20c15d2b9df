//! The run table as a queue: claims, leases, and what becomes of runs whose holder is gone.

use std::time::Duration;

use sqlx::{FromRow, Row, postgres::PgRow, types::Json};

use super::{Intent, Now, Store, interval, row::RunRow};
use crate::{
    domain::{Run, RunId},
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

impl Store {
    /// Claims at most `limit` runs that are due, oldest first, for `lease`.
    ///
    /// # Errors
    /// The database's.
    pub async fn claim(&self, now: Now, limit: i64, lease: Duration) -> Result<Vec<Claimed>, Error> {
        let rows = sqlx::query_as::<_, ClaimedRow>(
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
        Ok(rows.into_iter().map(|row| row.0).collect())
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

    /// Queues runs again whose lease has expired, at most `limit`: their holder died, or lost its way to the database.
    ///
    /// # Errors
    /// The database's.
    pub async fn rescue(&self, now: Now, limit: i64) -> Result<Vec<RunId>, Error> {
        let rows: Vec<(RunId,)> = sqlx::query_as(
            "with expired as materialized (
                 select id from run
                  where state = 'running' and lease_until < coalesce($1, now())
                  order by lease_until
                  limit $2
                    for update skip locked
             )
             update run
                set state = 'queued', handed_back = handed_back + 1, revision = revision + 1,
                    lease_until = null, due_at = coalesce($1, now())
               from expired
              where run.id = expired.id
             returning run.id",
        )
        .bind(now)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }

    /// How long from now until the next queued run is due or the next lease expires; `None` when nothing is live.
    ///
    /// # Errors
    /// The database's.
    pub async fn next_due(&self, now: Now) -> Result<Option<Duration>, Error> {
        let (seconds,): (Option<f64>,) = sqlx::query_as(
            "select extract(epoch from least(
                        (select min(due_at) from run where state = 'queued'),
                        (select min(lease_until) from run where state = 'running')
                    ) - coalesce($1, now()))::float8",
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
