//! Counting runs: those that ended, by the sums that are kept of them, and those that are live, in one snapshot.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{Row, postgres::PgRow};

use super::{
    LogFilter, Now, Store, interval,
    part::{Part, added_up},
    window::{Grid, Scope},
};
use crate::{
    domain::{FailureReason, Run, RunState, TenantId},
    error::Error,
};

/// How many failures the statistics name.
pub(super) const RECENT_FAILURES: usize = 5;

/// Counts of the runs that ended within a window, and of those that are live.
#[derive(Debug, Clone, PartialEq)]
pub struct SyncStats {
    /// The window's begin, inclusive: a whole minute; of a window above 3 days, and of an organization, a whole hour; of tenants' window
    /// above 3 days, a whole day (UTC).
    pub start_at: DateTime<Utc>,
    /// The window's end.
    pub end_at: DateTime<Utc>,
    /// Every run.
    pub total: i64,
    /// The real runs that are live.
    pub live: i64,
    /// The dry runs that are live.
    pub live_dry: i64,
    /// What ended.
    pub ended: Counts,
    /// Real runs that failed, by reason, the most frequent first.
    pub failures: Vec<(String, i64)>,
    /// The duration within which half of the real runs that succeeded or failed were done, to within a tenth.
    pub duration_p50: Option<Duration>,
    /// The same for 95 of 100.
    pub duration_p95: Option<Duration>,
    /// The newest real runs that failed, without plans and written changes.
    pub recent_failures: Vec<Run>,
    /// What ended, by minutes, hours or days, the oldest first, without gaps.
    pub series: Vec<(DateTime<Utc>, Counts)>,
    /// The tenants that are out of sync now, as far as runs have looked.
    pub tenants_out_of_sync: i64,
}

impl SyncStats {
    /// The real runs that a guard stopped, which are among those that failed: counted by their reason.
    #[must_use]
    pub fn guard_stopped(&self) -> i64 {
        let of_guards = |(reason, runs): &(String, i64)| (reason == FailureReason::Guard.as_str()).then_some(*runs);
        self.failures.iter().find_map(of_guards).unwrap_or_default()
    }
}

/// Counts of runs that ended.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Real runs that succeeded.
    pub succeeded: i64,
    /// Real runs that failed.
    pub failed: i64,
    /// Real runs that were skipped.
    pub skipped: i64,
    /// Real runs that were cancelled.
    pub cancelled: i64,
    /// Dry runs.
    pub dry: i64,
    /// Runs, dry ones too, that found differences.
    pub out_of_sync: i64,
}

impl Counts {
    /// From six columns of a row. There are hundreds of rows: looking up each column by its name would take as long as reading it.
    pub(super) fn at(row: &PgRow, first: usize) -> Result<Self, sqlx::Error> {
        Ok(Self {
            succeeded: row.try_get(first)?,
            failed: row.try_get(first + 1)?,
            skipped: row.try_get(first + 2)?,
            cancelled: row.try_get(first + 3)?,
            dry: row.try_get(first + 4)?,
            out_of_sync: row.try_get(first + 5)?,
        })
    }

    pub(super) fn add(&mut self, other: Self) {
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.cancelled += other.cancelled;
        self.dry += other.dry;
        self.out_of_sync += other.out_of_sync;
    }
}

impl Store {
    /// Counts the runs of `filter`'s tenants or organization that ended within the last `window`, and those that are live. What that
    /// costs does not depend on the history.
    ///
    /// # Errors
    /// The database's.
    pub async fn stats(&self, now: Now, filter: &LogFilter, window: Duration) -> Result<SyncStats, Error> {
        let (end_at, start_at): (DateTime<Utc>, DateTime<Utc>) =
            sqlx::query_as("select coalesce($1, now()), coalesce($1, now()) - $2::interval")
                .bind(now)
                .bind(interval(window))
                .fetch_one(&self.pool)
                .await?;
        let tenants = filter.tenants();
        let scope = match (&tenants, &filter.organization) {
            (Some(_), _) => Scope::Tenants,
            (None, Some(_)) => Scope::Organization,
            (None, None) => Scope::All,
        };
        let grid = Grid::of(window, scope);
        let start_at = grid.begin(start_at);
        if let Some(tenants) = tenants {
            let counted = self.counted_of_tenants(filter, &tenants, start_at, grid).await?;
            let mut stats = added_up(counted.parts, start_at, end_at, grid);
            stats.recent_failures = counted.failures;
            stats.tenants_out_of_sync = self.tenants_out_of_sync(filter).await?;
            return Ok(stats);
        }
        let mut stats = added_up(self.summed(filter, start_at, grid).await?, start_at, end_at, grid);
        let failures = LogFilter {
            states: vec![RunState::Failed],
            dry_run: Some(false),
            ended_from: Some(start_at),
            ..filter.clone()
        };
        // No more are looked for than there are.
        let wanted = stats.ended.failed.min(i64::try_from(RECENT_FAILURES).unwrap_or(i64::MAX));
        stats.recent_failures = self.logs(&failures, None, wanted).await?.runs;
        stats.tenants_out_of_sync = self.tenants_out_of_sync(filter).await?;
        Ok(stats)
    }

    async fn summed(&self, filter: &LogFilter, start_at: DateTime<Utc>, grid: Grid) -> Result<Vec<Part>, Error> {
        let pieces = grid.pieces(start_at);
        Ok(sqlx::query_as(
            "with fresh as materialized (
                 -- As they were added, a row for each statement that ended runs.
                 select begin_at, succeeded, failed, skipped, cancelled, dry, out_of_sync, durations, reasons
                   from rollup_delta
                  where scope = coalesce($1, '') and begin_at >= $2
             )
             select sums.begin_at, sums.counted, sums.succeeded, sums.failed, sums.skipped, sums.cancelled, sums.dry, sums.out_of_sync,
                    sums.durations, sums.reasons
               from unnest($3::text[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[])
                    as piece (grain, begin_at, counted_before, tallied_before)
              cross join lateral (select begin_at, begin_at < counted_before as counted, succeeded, failed, skipped, cancelled, dry,
                                         out_of_sync,
                                         case when begin_at < tallied_before then durations end as durations,
                                         case when begin_at < tallied_before then reasons end as reasons
                                    from rollup
                                   where scope = coalesce($1, '')
                                     and grain = piece.grain
                                     and begin_at >= piece.begin_at
                                     and begin_at < greatest(counted_before, tallied_before)
                                  offset 0) as sums
             union all
             select begin_at, true, sum(succeeded), sum(failed), sum(skipped), sum(cancelled), sum(dry), sum(out_of_sync), null, null
               from fresh
              group by begin_at
             union all
             select $2, false, 0, 0, 0, 0, 0, 0,
                    (select jsonb_object_agg(bin, count)
                       from (select bin, count(*) from fresh cross join unnest(durations) as bin group by bin) as bins),
                    (select jsonb_object_agg(reason, count)
                       from (select reason, count(*) from fresh cross join unnest(reasons) as reason group by reason) as reasons)
             union all
             select null, true, count(*) filter (where not dry_run), 0, 0, 0, count(*) filter (where dry_run), 0, null, null from run
              where $1::text is null or organization_id = $1",
        )
        .bind(filter.organization.as_ref().map(|organization| organization.as_str()))
        .bind(start_at)
        .bind(pieces.iter().map(|piece| piece.grain.as_str()).collect::<Vec<_>>())
        .bind(pieces.iter().map(|piece| piece.begin_at).collect::<Vec<_>>())
        .bind(pieces.iter().map(|piece| piece.counted_before).collect::<Vec<_>>())
        .bind(pieces.iter().map(|piece| piece.tallied_before).collect::<Vec<_>>())
        .fetch_all(&self.pool)
        .await?)
    }
}

impl LogFilter {
    /// The tenants that it is limited to.
    pub(super) fn tenants(&self) -> Option<Vec<&str>> {
        let is_wanted = |tenant: &&TenantId| self.tenant.as_ref().is_none_or(|wanted| wanted == *tenant);
        match (&self.only, &self.tenant) {
            (None, None) => None,
            (None, Some(tenant)) => Some(vec![tenant.as_str()]),
            (Some(only), _) => Some(only.iter().filter(is_wanted).map(TenantId::as_str).collect()),
        }
    }
}
