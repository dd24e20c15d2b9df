//! History ends a whole day at a time; no live run is in it.
//!
//! A day is a partition. It is detached first, which waits for those who read it and lets everybody pass, and dropped when nobody does.

use std::time::Duration;

use chrono::NaiveDate;
use sqlx::AssertSqlSafe;

use super::{Now, Store, interval};
use crate::error::Error;

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

/// A day whose time has come: its table, the day, whether it is attached, whether its detaching was interrupted, and whether its failed
/// runs are kept for longer.
type OldDay = (String, NaiveDate, bool, bool, bool);

impl Store {
    /// Drops the days of history whose time has come. Gives how many. What an interrupted call left behind, the next one finishes.
    ///
    /// # Errors
    /// The database's, also when a reader does not let go of a day.
    pub async fn drop_history(&self, now: Now, keep: Retention) -> Result<usize, Error> {
        let old: Vec<OldDay> = sqlx::query_as(
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
              order by day",
        )
        .bind(now)
        .bind(interval(keep.all))
        .bind(interval(keep.failed))
        .fetch_all(&self.pool)
        .await?;
        for (table, day, is_attached, is_pending, keeps_failed) in &old {
            if *is_attached {
                let how = if *is_pending { "finalize" } else { "concurrently" };
                self.define(format!("alter table run_history detach partition {table} {how}")).await?;
            }
            if *keeps_failed {
                sqlx::query("select run_history_keep_failed($1, $2)").bind(table).bind(day).execute(&self.pool).await?;
            } else {
                self.define(format!("drop table {table}")).await?;
            }
        }
        Ok(old.len())
    }

    /// Changes the schema, outside of a transaction. The names are those that the catalogue gave.
    async fn define(&self, statement: String) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&self.pool).await.map(drop)
    }
}
