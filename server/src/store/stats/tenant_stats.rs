//! Counting the runs of tenants: what days that are over came to is kept for each tenant; what is newer is counted from the runs.
//!
//! A day is counted when none of its runs is live any more, so runs do not pay for it when they end. One that ends on such a day all the
//! same counts itself; see `count_late_run` in the migrations.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use sqlx::{Row, types::Json};

use super::{
    count_map::CountMap,
    partial_aggregate::{PartialAggregate, counts_at},
    window::{Grain, WindowLayout},
};
use crate::{
    domain::{Run, RunFilter, RunId},
    error::Error,
    store::{
        connections::Connection,
        handle::Store,
        history::first_id::first_id,
        row::{LightRunRow, light_columns},
        statement::StatementTime,
    },
};

/// Runs of a day that is over that one statement counts for their tenants: about a second of work.
const ROLL_UP_CHUNK_SIZE: i32 = 50_000;

/// How many failures the statistics name.
pub(in crate::store) const MAX_RECENT_FAILURES: usize = 5;

/// What was counted of tenants.
pub(in crate::store) struct TenantAggregates {
    pub(in crate::store) parts: Vec<PartialAggregate>,
    /// The newest real runs that failed, without plans and written changes.
    pub(in crate::store) failures: Vec<Run>,
}

impl Store {
    /// Counts one chunk of past days for their tenants. Returns whether there was one.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn roll_up_day(&self, now: StatementTime) -> Result<bool, Error> {
        self.roll_up_day_chunk(now, ROLL_UP_CHUNK_SIZE).await
    }

    /// Counts for their tenants up to `size` runs more of the oldest day that is over and not counted yet, if none of its runs is live.
    /// Returns whether there was one. A day is visible only once all of it is counted.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn roll_up_day_chunk(&self, now: StatementTime, size: i32) -> Result<bool, Error> {
        // An hour for servers whose clocks are behind.
        let counted = sqlx::query_scalar(
            "select roll_up_next_chunk(((coalesce($1, now()) - interval '1 hour') at time zone 'UTC')::date, $2)",
        );
        Ok(counted.bind(now).bind(size).fetch_one(&self.pool).await?)
    }

    /// Counts the runs of `tenants` that ended at `start_at` or later, and those that are live; `filter` may limit them to an organization.
    pub(in crate::store) async fn aggregates_of_tenants(
        &self,
        filter: &RunFilter,
        tenants: &[&str],
        start_at: DateTime<Utc>,
        layout: WindowLayout,
    ) -> Result<TenantAggregates, Error> {
        // One snapshot for all statements: in between, a day may be counted, and a run may end.
        let mut snapshot = self.history_pool.begin_with("begin isolation level repeatable read read only").await?;
        let (counted_until, first_day): (Option<NaiveDate>, Option<NaiveDate>) = sqlx::query_as(
            "select day,
                    (select min(accepted_on) from tenant_rollup
                      where tenant_id = any ($1) and accepted_on < day and ended_on >= ($2 at time zone 'UTC')::date)
               from tenant_rollup_watermark",
        )
        .bind(tenants)
        .bind(start_at)
        .fetch_one(&mut *snapshot)
        .await?;
        // Days are counted as a whole. For a window with shorter periods they only bound the days whose runs are read.
        let (whole_days_before, first_day) = if layout.step == Grain::Day {
            (counted_until, counted_until)
        } else {
            (None, first_day.or(counted_until))
        };
        let rows = sqlx::query(include_str!("tenant_aggregates.sql"))
            .bind(tenants)
            .bind(start_at)
            .bind(filter.organization.as_ref().map(|organization| organization.as_str()))
            .bind(layout.step.as_str())
            .bind(whole_days_before)
            .bind(first_day.map_or(RunId::nil(), |day| first_id(day.and_time(NaiveTime::MIN).and_utc())))
            .fetch_all(&mut *snapshot)
            .await?;
        let (mut parts, mut failures) = (Vec::with_capacity(rows.len()), Vec::new());
        for row in &rows {
            let durations: Option<Vec<i16>> = row.try_get(7)?;
            let reasons: Option<Vec<String>> = row.try_get(8)?;
            failures.extend(row.try_get::<Option<Vec<RunId>>, _>(9)?.unwrap_or_default());
            let histogram: Option<Json<CountMap<i16>>> = row.try_get(10)?;
            let (durations, reasons) = (durations.map(CountMap::of), reasons.map(CountMap::of));
            let durations = durations.into_iter().chain(histogram.map(|json| json.0)).reduce(CountMap::and);
            parts.push(PartialAggregate::new(row.try_get(0)?, counts_at(row, 1)?, durations, reasons));
        }
        failures.sort_unstable_by(|one, other| other.cmp(one));
        failures.truncate(MAX_RECENT_FAILURES);
        let failures = if failures.is_empty() { Vec::new() } else { listed(&mut snapshot, failures).await? };
        snapshot.commit().await?;
        Ok(TenantAggregates { parts, failures })
    }
}

/// Gets those of a few ended runs that are kept still, newest first. Each is named by itself, so that only the days that they are of are
/// looked at.
async fn listed(connection: &mut Connection, mut runs: Vec<RunId>) -> Result<Vec<Run>, sqlx::Error> {
    runs.resize(MAX_RECENT_FAILURES, RunId::nil());
    let mut query = sqlx::query_as::<_, LightRunRow>(concat!(
        "select ",
        light_columns!(),
        ", null::timestamptz as next_attempt_at, ended_at from run_history where id in ($1, $2, $3, $4, $5) order by id desc"
    ));
    for run in runs {
        query = query.bind(run);
    }
    Ok(query.fetch_all(connection).await?.into_iter().map(|row| row.0).collect())
}
