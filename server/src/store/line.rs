//! The line of queued runs: who waits for a time comes back to it when the time has come.

use std::time::Duration;

use super::{Now, Store};
use crate::error::Error;

/// What came of a look at the runs that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promoted {
    /// How many are in line now that were not.
    pub runs: i64,
    /// How long from now until the next one is due; `None` when none waits.
    pub next: Option<Duration>,
}

impl Store {
    /// Puts runs whose time has come into the line, at most `limit`, as if they had come now.
    ///
    /// # Errors
    /// The database's.
    pub async fn promote(&self, now: Now, limit: i64) -> Result<Promoted, Error> {
        let statement = sqlx::query_as(
            "with due as materialized (
                 select id, bulk from run
                  where state = 'queued' and due_at <= coalesce($1, now())
                  order by due_at
                  limit $2
                    for update skip locked
             ), first_in_line as materialized (
                 select class.bulk, (select turn from run
                                      where state = 'queued' and due_at is null and bulk = class.bulk
                                      order by turn, id
                                      limit 1) as turn
                   from (values (true), (false)) class (bulk)
             ), promoted as (
                 update run
                    set due_at = null, revision = revision + 1,
                        turn = 1 + coalesce((select turn from first_in_line where first_in_line.bulk = run.bulk), 0)
                  where id = any (array(select id from due))
                 returning 1
             )
             select (select count(*) from promoted),
                    (select extract(epoch from min(due_at) - coalesce($1, now()))::float8 from run
                      where state = 'queued' and due_at > coalesce($1, now()))",
        )
        .bind(now)
        .bind(limit);
        let (runs, seconds): (i64, Option<f64>) = statement.fetch_one(&self.hot).await?;
        Ok(Promoted { runs, next: seconds.map(|seconds| Duration::from_secs_f64(seconds.clamp(0.0, 86_400.0))) })
    }
}
