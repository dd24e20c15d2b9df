//! Retention: the history is dropped a whole day at a time; no live run is in it.
//!
//! A day is a partition. It is detached first, which waits for its readers without blocking others, and dropped once it has none. A day
//! whose failed runs are kept for longer stays whole while these are copied in chunks; then the copy takes its place.

use std::time::Duration;

use chrono::NaiveDate;
use sqlx::AssertSqlSafe;
use tokio::time::sleep;

use crate::{
    error::Error,
    store::{
        handle::Store,
        migrations::is_locked,
        statement::{StatementTime, interval},
    },
};

/// How long ended runs are kept, from their acceptance on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Every run.
    pub all: Duration,
    /// Those that failed: at least as long.
    pub failed: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        let year = Duration::from_secs(365 * 24 * 3600);
        Self { all: year, failed: year }
    }
}

/// Failed runs that one piece copies: about a second of work, as each of them is in a dozen indexes.
const REDUCE_CHUNK_SIZE: i32 = 20_000;
/// How long the replacement of a day waits for its readers. Every later reader waits behind it.
const LOCK_TIMEOUT: &str = "100ms";
/// How often that is tried, and after which pause again.
const MAX_LOCK_TRIES: usize = 10;
const LOCK_RETRY_DELAY: Duration = Duration::from_secs(1);

/// A day whose time has come: its table, the day, whether it is attached, whether its detaching was interrupted, and whether its failed
/// runs are kept for longer.
type OldDay = (String, NaiveDate, bool, bool, bool);

/// What a piece of work on the history came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReductionStep {
    /// Some of a day.
    Piece,
    /// The rest of a day.
    Day,
    /// Nothing: another server is at it.
    Busy,
}

impl Store {
    /// Drops the days of history past their retention, or all but their failed runs. Returns how many days. What an interrupted call left
    /// behind, the next one finishes. A day that cannot be dropped holds up no other.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`] of the first day that failed, even if only a reader held
    /// it. The other days are dropped.
    pub async fn drop_history(&self, now: StatementTime, keep: Retention) -> Result<usize, Error> {
        let (mut days, mut failed) = (0, None);
        for day in self.old_days(now, keep).await? {
            match self.shorten_wholly(&day).await {
                Ok(done) => days += usize::from(done),
                Err(error) => {
                    failed.get_or_insert(error);
                }
            }
        }
        failed.map_or(Ok(days), |error| Err(error.into()))
    }

    /// Does one bounded piece of [`Store::drop_history`], of up to `size` rows. `None`: there is nothing to do. For
    /// tests, which stop between any two of them.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn drop_history_piece(
        &self,
        now: StatementTime,
        keep: Retention,
        size: i32,
    ) -> Result<Option<ReductionStep>, Error> {
        match self.old_days(now, keep).await?.first() {
            Some(day) => Ok(Some(self.shorten(day, size).await?)),
            None => Ok(None),
        }
    }

    /// The oldest first, and of one day what is attached last: it is replaced by what was kept of all its tables.
    async fn old_days(&self, now: StatementTime, keep: Retention) -> Result<Vec<OldDay>, sqlx::Error> {
        sqlx::query_as(
            "with days as (
                 select relname::text as name, inhrelid is not null as attached, coalesce(inhdetachpending, false) as pending,
                        to_date(substr(relname::text, 13), 'YYYY_MM_DD') as day, right(relname::text, 7) = '_failed' as thinned
                   from pg_class
                   left join pg_inherits on inhrelid = pg_class.oid
                  where relkind = 'r' and relname ~ '^run_history_[0-9]{4,5}_[0-9]{2}_[0-9]{2}(_[0-9]+|_failed)?$'
                    and relnamespace = (select relnamespace from pg_class where oid = 'run_history'::regclass)
             ), bounds as (
                 select ((coalesce($1, now()) - $2::interval) at time zone 'UTC')::date as all_before,
                        ((coalesce($1, now()) - $3::interval) at time zone 'UTC')::date as failed_before
             )
             select name, day, attached, pending, day >= failed_before
               from days, bounds
              where day < case when thinned then failed_before else all_before end
              order by day, attached, name",
        )
        .bind(now)
        .bind(interval(keep.all))
        .bind(interval(keep.failed))
        .fetch_all(&self.pool)
        .await
    }

    /// Returns whether this call did it, rather than leaving it to another server that is doing it.
    async fn shorten_wholly(&self, day: &OldDay) -> Result<bool, sqlx::Error> {
        let mut tries = 0;
        loop {
            match self.shorten(day, REDUCE_CHUNK_SIZE).await {
                Ok(ReductionStep::Piece) => {}
                Ok(ReductionStep::Day) => return Ok(true),
                Ok(ReductionStep::Busy) => return Ok(false),
                // A reader holds the partition: later readers must not wait behind this statement until it is done.
                Err(error) if is_locked(&error) && tries < MAX_LOCK_TRIES => {
                    tries += 1;
                    sleep(LOCK_RETRY_DELAY).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn shorten(&self, day: &OldDay, size: i32) -> Result<ReductionStep, sqlx::Error> {
        let (table, day, is_attached, is_pending, keeps_failed) = day;
        if *is_attached && *is_pending {
            self.define(format!("alter table run_history detach partition {table} finalize")).await?;
        }
        if *keeps_failed {
            let done: String = sqlx::query_scalar("select reduce_run_history_partition($1, $2, $3, $4)")
                .bind(table)
                .bind(day)
                .bind(size)
                .bind(LOCK_TIMEOUT)
                .fetch_one(&self.pool)
                .await?;
            return Ok(match done.as_str() {
                "piece" => ReductionStep::Piece,
                "day" => ReductionStep::Day,
                _ => ReductionStep::Busy,
            });
        }
        if *is_attached && !*is_pending {
            self.define(format!("alter table run_history detach partition {table} concurrently")).await?;
        }
        self.define(format!("drop table {table}")).await?;
        Ok(ReductionStep::Day)
    }

    /// Changes the schema, outside of a transaction. The names are those that the catalogue gave.
    async fn define(&self, statement: String) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&self.definition_pool).await.map(drop)
    }
}
