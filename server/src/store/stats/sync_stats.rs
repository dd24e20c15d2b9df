//! Counting runs: those that ended, by the sums that are kept of them, and those that are live, in one snapshot.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{Row, postgres::PgRow};

use super::{
    partial_aggregate::{PartialAggregate, combine},
    window::{Scope, WindowLayout},
};
use crate::{
    domain::{FailureReason, Run, RunState, TenantId},
    error::Error,
    store::{
        handle::Store,
        history::search::RunFilter,
        statement::{StatementTime, interval},
    },
};

/// How many failures the statistics name.
pub(in crate::store) const MAX_RECENT_FAILURES: usize = 5;

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
    pub live_dry_runs: i64,
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
    pub out_of_sync_tenants: i64,
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
    pub dry_runs: i64,
    /// Runs, dry ones too, that found differences.
    pub out_of_sync: i64,
}

impl Counts {
    /// From six columns of a row. There are hundreds of rows: looking up each column by its name would take as long as reading it.
    pub(in crate::store) fn at(row: &PgRow, first: usize) -> Result<Self, sqlx::Error> {
        Ok(Self {
            succeeded: row.try_get(first)?,
            failed: row.try_get(first + 1)?,
            skipped: row.try_get(first + 2)?,
            cancelled: row.try_get(first + 3)?,
            dry_runs: row.try_get(first + 4)?,
            out_of_sync: row.try_get(first + 5)?,
        })
    }

    pub(in crate::store) fn add(&mut self, other: Self) {
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.cancelled += other.cancelled;
        self.dry_runs += other.dry_runs;
        self.out_of_sync += other.out_of_sync;
    }
}

impl Store {
    /// Counts the runs of `filter`'s tenants or organization that ended within the last `window`, and those that are live. What that
    /// costs does not depend on the history.
    ///
    /// # Errors
    /// The database's.
    pub async fn stats(&self, now: StatementTime, filter: &RunFilter, window: Duration) -> Result<SyncStats, Error> {
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
        let layout = WindowLayout::of(window, scope);
        let start_at = layout.begin(start_at);
        if let Some(tenants) = tenants {
            let insert_rollup_delta = self.aggregates_of_tenants(filter, &tenants, start_at, layout).await?;
            let mut stats = combine(insert_rollup_delta.parts, start_at, end_at, layout);
            stats.recent_failures = insert_rollup_delta.failures;
            stats.out_of_sync_tenants = self.out_of_sync_tenants(filter).await?;
            return Ok(stats);
        }
        let mut stats = combine(self.summed_rollups(filter, start_at, layout).await?, start_at, end_at, layout);
        let failures = RunFilter {
            states: vec![RunState::Failed],
            dry_run: Some(false),
            ended_from: Some(start_at),
            ..filter.clone()
        };
        // No more are looked for than there are.
        let wanted = stats.ended.failed.min(i64::try_from(MAX_RECENT_FAILURES).unwrap_or(i64::MAX));
        stats.recent_failures = self.logs(&failures, None, wanted).await?.runs;
        stats.out_of_sync_tenants = self.out_of_sync_tenants(filter).await?;
        Ok(stats)
    }

    async fn summed_rollups(
        &self,
        filter: &RunFilter,
        start_at: DateTime<Utc>,
        layout: WindowLayout,
    ) -> Result<Vec<PartialAggregate>, Error> {
        let segments = layout.segments(start_at);
        Ok(sqlx::query_as(
            "with fresh as materialized (
                 -- As they were added, a row for each statement that ended runs.
                 select start_at, succeeded, failed, skipped, cancelled, dry_runs, out_of_sync, duration_buckets, failure_reasons
                   from rollup_delta
                  where scope = coalesce($1, '') and start_at >= $2
             )
             select sums.start_at, sums.counted, sums.succeeded, sums.failed, sums.skipped, sums.cancelled, sums.dry_runs, sums.out_of_sync,
                    sums.duration_histogram, sums.failure_reason_counts
               from unnest($3::text[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[])
                    as piece (grain, start_at, counts_before, histograms_before)
              cross join lateral (select start_at, start_at < counts_before as counted, succeeded, failed, skipped, cancelled, dry_runs,
                                         out_of_sync,
                                         case when start_at < histograms_before then duration_histogram end as duration_histogram,
                                         case when start_at < histograms_before then failure_reason_counts end as failure_reason_counts
                                    from rollup
                                   where scope = coalesce($1, '')
                                     and grain = piece.grain
                                     and start_at >= piece.start_at
                                     and start_at < greatest(counts_before, histograms_before)
                                  offset 0) as sums
             union all
             select start_at, true, sum(succeeded), sum(failed), sum(skipped), sum(cancelled), sum(dry_runs), sum(out_of_sync), null, null
               from fresh
              group by start_at
             union all
             select $2, false, 0, 0, 0, 0, 0, 0,
                    (select jsonb_object_agg(bucket, count)
                       from (select bucket, count(*) from fresh cross join unnest(duration_buckets) as bucket group by bucket) as buckets),
                    (select jsonb_object_agg(reason, count)
                       from (select reason, count(*) from fresh cross join unnest(failure_reasons) as reason group by reason) as failure_reason_counts)
             union all
             select null, true, count(*) filter (where not dry_run), 0, 0, 0, count(*) filter (where dry_run), 0, null, null from run
              where $1::text is null or organization_id = $1",
        )
        .bind(filter.organization.as_ref().map(|organization| organization.as_str()))
        .bind(start_at)
        .bind(segments.iter().map(|piece| piece.grain.as_str()).collect::<Vec<_>>())
        .bind(segments.iter().map(|piece| piece.starts_at).collect::<Vec<_>>())
        .bind(segments.iter().map(|piece| piece.counts_before).collect::<Vec<_>>())
        .bind(segments.iter().map(|piece| piece.histograms_before).collect::<Vec<_>>())
        .fetch_all(&self.pool)
        .await?)
    }
}

impl RunFilter {
    /// The tenants that it is limited to.
    pub(in crate::store) fn tenants(&self) -> Option<Vec<&str>> {
        let is_wanted = |tenant: &&TenantId| self.tenant.as_ref().is_none_or(|wanted| wanted == *tenant);
        match (&self.visible_tenants, &self.tenant) {
            (None, None) => None,
            (None, Some(tenant)) => Some(vec![tenant.as_str()]),
            (Some(visible_tenants), _) => {
                Some(visible_tenants.iter().filter(is_wanted).map(TenantId::as_str).collect())
            }
        }
    }
}
