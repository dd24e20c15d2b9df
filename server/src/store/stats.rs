//! Counting runs.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{FromRow, Row, postgres::PgRow};

use super::{LogFilter, Now, Store, interval, logs::light_columns, row::RunRow};
use crate::{
    domain::{Run, TenantId},
    error::Error,
};

/// How many failures the statistics name.
const RECENT_FAILURES: i64 = 5;

/// Counts of runs that were accepted within a window.
#[derive(Debug, Clone, PartialEq)]
pub struct SyncStats {
    /// The window's begin, inclusive.
    pub start_at: DateTime<Utc>,
    /// The window's end.
    pub end_at: DateTime<Utc>,
    /// Every run.
    pub total: i64,
    /// Real runs that succeeded.
    pub succeeded: i64,
    /// Real runs that failed.
    pub failed: i64,
    /// Real runs that were skipped.
    pub skipped: i64,
    /// Real runs that were cancelled.
    pub cancelled: i64,
    /// Real runs that are live.
    pub live: i64,
    /// Dry runs.
    pub dry: i64,
    /// Runs, dry ones too, that found differences.
    pub out_of_sync: i64,
    /// The newest real runs that failed, without plans and written changes.
    pub recent_failures: Vec<Run>,
}

impl Store {
    /// Counts the runs of the last `window`, of `filter`'s tenants.
    ///
    /// # Errors
    /// The database's.
    pub async fn stats(&self, now: Now, filter: &LogFilter, window: Duration) -> Result<SyncStats, Error> {
        let tenant = filter.tenant.as_ref().map(TenantId::as_str);
        let only = filter.only.as_ref().map(|only| only.iter().map(TenantId::as_str).collect::<Vec<_>>());
        let mut stats = sqlx::query_as::<_, StatsRow>(
            "select coalesce($1, now()) - $2::interval as start_at,
                    coalesce($1, now()) as end_at,
                    count(*) as total,
                    count(*) filter (where not dry_run and state = 'succeeded') as succeeded,
                    count(*) filter (where not dry_run and state = 'failed') as failed,
                    count(*) filter (where not dry_run and state = 'skipped') as skipped,
                    count(*) filter (where not dry_run and state = 'cancelled') as cancelled,
                    count(*) filter (where not dry_run and state in ('queued', 'running')) as live,
                    count(*) filter (where dry_run) as dry,
                    count(*) filter (where found_differences) as out_of_sync
               from every_run
              where created_at >= coalesce($1, now()) - $2::interval
                and ($3::text is null or tenant_id = $3)
                and ($4::text[] is null or tenant_id = any ($4))",
        )
        .bind(now)
        .bind(interval(window))
        .bind(tenant)
        .bind(&only)
        .fetch_one(&self.pool)
        .await?
        .0;
        stats.recent_failures = sqlx::query_as::<_, RunRow>(concat!(
            "select ",
            light_columns!(),
            ", ended_at from run_history
             where state = 'failed' and not dry_run
               and created_at >= $1
               and ($2::text is null or tenant_id = $2)
               and ($3::text[] is null or tenant_id = any ($3))
             order by id desc
             limit $4"
        ))
        .bind(stats.start_at)
        .bind(tenant)
        .bind(&only)
        .bind(RECENT_FAILURES)
        .fetch_all(&self.pool)
        .await?
        .into_iter()
        .map(|row| row.0)
        .collect();
        Ok(stats)
    }
}

struct StatsRow(SyncStats);

impl FromRow<'_, PgRow> for StatsRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self(SyncStats {
            start_at: row.try_get("start_at")?,
            end_at: row.try_get("end_at")?,
            total: row.try_get("total")?,
            succeeded: row.try_get("succeeded")?,
            failed: row.try_get("failed")?,
            skipped: row.try_get("skipped")?,
            cancelled: row.try_get("cancelled")?,
            live: row.try_get("live")?,
            dry: row.try_get("dry")?,
            out_of_sync: row.try_get("out_of_sync")?,
            recent_failures: Vec::new(),
        }))
    }
}
