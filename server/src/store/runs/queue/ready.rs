//! The line of queued runs: who waits for a time comes back to it when the time has come.

use std::time::Duration;

use crate::{
    error::Error,
    store::{handle::Store, statement::StatementTime},
};

/// What came of moving due runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnqueuedDue {
    /// How many are in the ready queue now that were not.
    pub runs: i64,
    /// How long from now until the next one is due; `None` when none waits.
    pub next: Option<Duration>,
}

impl Store {
    /// Moves due runs into the ready queue, at most `limit`, as if they had come now.
    ///
    /// # Errors
    /// The database's.
    pub async fn enqueue_due(&self, now: StatementTime, limit: i64) -> Result<EnqueuedDue, Error> {
        let statement = sqlx::query_as(
            "with due as materialized (
                 select id, bulk from run
                  where state = 'queued' and next_attempt_at <= coalesce($1, now())
                  order by next_attempt_at
                  limit $2
                    for update skip locked
             ), first_ready as materialized (
                 select class.bulk, (select fairness_rank from run
                                      where state = 'queued' and next_attempt_at is null and bulk = class.bulk
                                      order by fairness_rank, id
                                      limit 1) as fairness_rank
                   from (values (true), (false)) class (bulk)
             ), enqueued as (
                 update run
                    set next_attempt_at = null, revision = revision + 1,
                        fairness_rank = 1 + coalesce((select fairness_rank from first_ready where first_ready.bulk = run.bulk), 0)
                  where id = any (array(select id from due))
                 returning 1
             )
             select (select count(*) from enqueued),
                    (select extract(epoch from min(next_attempt_at) - coalesce($1, now()))::float8 from run
                      where state = 'queued' and next_attempt_at > coalesce($1, now()))",
        )
        .bind(now)
        .bind(limit);
        let (runs, seconds): (i64, Option<f64>) = statement.fetch_one(&self.queue_pool).await?;
        Ok(EnqueuedDue { runs, next: seconds.map(|seconds| Duration::from_secs_f64(seconds.clamp(0.0, 86_400.0))) })
    }
}
