//! How a run ends: it moves from the live runs to the history, in the statement that ends it, so it is always in exactly one of the two.

use crate::{
    error::Error,
    store::{handle::Store, statement::StatementTime},
};

/// How many days ahead partitions are created. Maintenance checks every hour.
const PARTITIONS_AHEAD_DAYS: i32 = 2;

/// What the history takes over from a deleted row of `run` as it is, for `insert_into_history.sql`.
macro_rules! run_to_history_columns {
    () => {
        "run.id, run.tenant_id, run.organization_id, run.batch_id, run.strategy, run.dry_run, run.revision, run.fencing_token,
                 run.max_attempts, run.attempts, run.caller, run.request_id, run.created_at, run.started_at, run.attempt_started_at,
                 run.options"
    };
}
pub(in crate::store) use run_to_history_columns;

impl Store {
    /// Creates the partitions that the history will need: those of the coming days, and of the days on which a live run was accepted.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn prepare_history(&self, now: StatementTime) -> Result<(), Error> {
        sqlx::query(
            "with recursive accepted (first) as (
                 -- The first live run of each day, one look-up in the index each: there may be millions of them.
                 (select id from run order by id limit 1)
                  union all
                 select (select run.id from run
                          where run.id >= run_id_floor(((run_id_time(first) at time zone 'UTC')::date + 1)::timestamp at time zone 'UTC')
                          order by run.id
                          limit 1)
                   from accepted
                  where first is not null
             ), needed as (
                 select (coalesce($1, now()) at time zone 'UTC')::date + ahead as day from generate_series(0, $2) ahead
                  union
                 select (run_id_time(first) at time zone 'UTC')::date from accepted where first is not null
             )
             select ensure_run_history_partition(day) from needed",
        )
        .bind(now)
        .bind(PARTITIONS_AHEAD_DAYS)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Executes a statement that ends runs. If their day has no partition, the statement has changed nothing: the
    /// partition is created and the statement executed again.
    pub(in crate::store) async fn with_history_partition<T, F>(
        &self,
        now: StatementTime,
        statement: impl Fn() -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, sqlx::Error>>,
    {
        match statement().await {
            Err(error) if misses_a_partition(&error) => {
                self.prepare_history(now).await?;
                Ok(statement().await?)
            }
            done => Ok(done?),
        }
    }
}

/// PostgreSQL calls it the violation of a check, of no constraint.
fn misses_a_partition(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| {
        error.code().as_deref() == Some("23514") && error.constraint().is_none() && error.table() == Some("run_history")
    })
}
