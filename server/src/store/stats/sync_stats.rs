//! Counting runs: those that ended, by the sums that are kept of them, and those that are live, in one snapshot.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{
    partial_aggregate::{PartialAggregate, combine},
    tenant_stats::MAX_RECENT_FAILURES,
    window::{Scope, WindowLayout},
};
use crate::{
    domain::{RunFilter, RunState, SyncStats},
    error::Error,
    store::{
        handle::Store,
        statement::{StatementTime, interval},
    },
};

impl Store {
    /// Counts the runs of `filter`'s tenants or organization that ended within the last `window`, and those that are live. What that
    /// costs does not depend on the history.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
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
            let aggregates = self.aggregates_of_tenants(filter, &tenants, start_at, layout).await?;
            let mut stats = combine(aggregates.parts, start_at, end_at, layout);
            stats.recent_failures = aggregates.failures;
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
        // A search for more than there are would read the whole window.
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
        Ok(sqlx::query_as(include_str!("summed_rollups.sql"))
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
