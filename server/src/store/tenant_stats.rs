//! Counting the runs of tenants: what days that are over came to is kept for each tenant; what is newer is counted from the runs.
//!
//! A day is counted when none of its runs is live any more, so runs do not pay for it when they end. One that ends on such a day all the
//! same counts itself; see `tenant_rollup_day` in the migrations.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use sqlx::{Row, types::Json};

use super::{
    LogFilter, Now, Store,
    connections::Connection,
    logs::first_id,
    part::Part,
    row::LightRunRow,
    runs::light_columns,
    stats::{Counts, RECENT_FAILURES},
    tally::Tally,
    window::{Grain, Grid},
};
use crate::{
    domain::{Run, RunId},
    error::Error,
};

/// Runs of a day that is over that one statement counts for their tenants: about a second of work.
const PIECE: i32 = 50_000;

/// What was counted of tenants.
pub(super) struct Counted {
    pub(super) parts: Vec<Part>,
    /// The newest real runs that failed, without plans and written changes.
    pub(super) failures: Vec<Run>,
}

impl Store {
    /// Does one bounded piece of counting days that are over for their tenants. Gives whether there was one.
    ///
    /// # Errors
    /// The database's.
    pub async fn count_day(&self, now: Now) -> Result<bool, Error> {
        self.count_day_piece(now, PIECE).await
    }

    /// Counts for their tenants up to `size` runs more of the oldest day that is over and not counted yet, if none of its runs is live.
    /// Gives whether there was one. A day shows only when all of it is counted.
    ///
    /// # Errors
    /// The database's.
    pub async fn count_day_piece(&self, now: Now, size: i32) -> Result<bool, Error> {
        // An hour for servers whose clocks are behind.
        let counted = sqlx::query_scalar(
            "select tenant_rollup_piece(((coalesce($1, now()) - interval '1 hour') at time zone 'UTC')::date, $2)",
        );
        Ok(counted.bind(now).bind(size).fetch_one(&self.pool).await?)
    }

    /// Counts the runs of `tenants` that ended at `start_at` or later, and those that are live; `filter` may limit them to an organization.
    pub(super) async fn counted_of_tenants(
        &self,
        filter: &LogFilter,
        tenants: &[&str],
        start_at: DateTime<Utc>,
        grid: Grid,
    ) -> Result<Counted, Error> {
        // One snapshot for all: a day may be counted, and a run may end, meanwhile.
        let mut snapshot = self.planned.begin_with("begin isolation level repeatable read read only").await?;
        let (counted_until, first_day): (Option<NaiveDate>, Option<NaiveDate>) = sqlx::query_as(
            "select day,
                    (select min(accepted_on) from tenant_rollup
                      where tenant_id = any ($1) and accepted_on < day and ended_on >= ($2 at time zone 'UTC')::date)
               from tenant_rollup_until",
        )
        .bind(tenants)
        .bind(start_at)
        .fetch_one(&mut *snapshot)
        .await?;
        // Days are counted as a whole. Of a window that is cut more finely, they only tell which days' runs to look at.
        let (whole_days_before, first_day) =
            if grid.step == Grain::Day { (counted_until, counted_until) } else { (None, first_day.or(counted_until)) };
        let rows = sqlx::query(
            "select ended_on::timestamp at time zone 'UTC' as begin_at, succeeded::bigint, failed::bigint, skipped::bigint,
                    cancelled::bigint, dry::bigint, out_of_sync::bigint, durations, case when failed > 0 then reasons end,
                    case when failed > 0 then failures end, duration_counts
               from tenant_rollup
              where tenant_id = any ($1) and accepted_on < $5 and ended_on >= ($2 at time zone 'UTC')::date
                and ($3::text is null or organization_id = $3)
             union all
             select date_trunc($4, ended_at, 'UTC'),
                    count(*) filter (where not dry_run and state = 'succeeded'),
                    count(*) filter (where not dry_run and state = 'failed'),
                    count(*) filter (where not dry_run and state = 'skipped'),
                    count(*) filter (where not dry_run and state = 'cancelled'),
                    count(*) filter (where dry_run),
                    count(*) filter (where found_differences),
                    array_agg(duration_bin(ended_at - started_at)) filter (where not dry_run and state in ('succeeded', 'failed')),
                    array_agg(reason) filter (where not dry_run and state = 'failed'),
                    (array_agg(id order by id desc) filter (where not dry_run and state = 'failed'))[:5], null
               from run_history
              where tenant_id = any ($1) and id >= $6
                -- Written so that the index to go by is the tenants', which have few runs.
                and ended_at + interval '0' >= $2
                and ($3::text is null or organization_id = $3)
              group by 1
             union all
             select null, count(*) filter (where not dry_run), 0, 0, 0, count(*) filter (where dry_run), 0, null, null, null, null
               from run
              where tenant_id = any ($1)
                and ($3::text is null or organization_id = $3)",
        )
        .bind(tenants)
        .bind(start_at)
        .bind(filter.organization.as_ref().map(|organization| organization.as_str()))
        .bind(grid.step.as_str())
        .bind(whole_days_before)
        .bind(first_day.map_or(RunId::nil(), |day| first_id(day.and_time(NaiveTime::MIN).and_utc())))
        .fetch_all(&mut *snapshot)
        .await?;
        let (mut parts, mut failures) = (Vec::with_capacity(rows.len()), Vec::new());
        for row in &rows {
            let durations: Option<Vec<i16>> = row.try_get(7)?;
            let reasons: Option<Vec<String>> = row.try_get(8)?;
            failures.extend(row.try_get::<Option<Vec<RunId>>, _>(9)?.unwrap_or_default());
            let counted: Option<Json<Tally<i16>>> = row.try_get(10)?;
            let (durations, reasons) = (durations.map(Tally::of), reasons.map(Tally::of));
            let durations = durations.into_iter().chain(counted.map(|json| json.0)).reduce(Tally::and);
            parts.push(Part::new(row.try_get(0)?, Counts::at(row, 1)?, durations, reasons));
        }
        failures.sort_unstable_by(|one, other| other.cmp(one));
        failures.truncate(RECENT_FAILURES);
        let failures = if failures.is_empty() { Vec::new() } else { listed(&mut snapshot, failures).await? };
        snapshot.commit().await?;
        Ok(Counted { parts, failures })
    }
}

/// Gets those of a few ended runs that are kept still, newest first. Each is named by itself, so that only the days that they are of are
/// looked at.
async fn listed(connection: &mut Connection, mut runs: Vec<RunId>) -> Result<Vec<Run>, sqlx::Error> {
    runs.resize(RECENT_FAILURES, RunId::nil());
    let mut query = sqlx::query_as::<_, LightRunRow>(concat!(
        "select ",
        light_columns!(),
        ", null::timestamptz as due_at, ended_at from run_history where id in ($1, $2, $3, $4, $5) order by id desc"
    ));
    for run in runs {
        query = query.bind(run);
    }
    Ok(query.fetch_all(connection).await?.into_iter().map(|row| row.0).collect())
}
