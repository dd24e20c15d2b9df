//! Counting runs: those that ended, by the sums that are kept of them, and those that are live, in one snapshot.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use serde::Deserialize;
use sqlx::{FromRow, Row, postgres::PgRow, types::Json};

use super::{LogFilter, Now, Store, SyncFilter, interval};
use crate::{
    domain::{Run, RunState, TenantId},
    error::Error,
};

/// How many failures the statistics name.
const RECENT_FAILURES: i64 = 5;
/// Bins of durations for each doubling.
const BINS: f64 = 4.0;
/// Later than any end.
const EVER: TimeDelta = TimeDelta::days(365 * 1000);

/// Counts of the runs that ended within a window, and of those that are live.
#[derive(Debug, Clone, PartialEq)]
pub struct SyncStats {
    /// The window's begin, inclusive: a whole minute; of a window above 3 days, and of an organization, a whole hour (UTC).
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
    fn add(&mut self, other: Self) {
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.cancelled += other.cancelled;
        self.dry += other.dry;
        self.out_of_sync += other.out_of_sync;
    }
}

/// How finely a window is cut.
#[derive(Debug, Clone, Copy)]
struct Grid {
    /// Where it may begin.
    edge: TimeDelta,
    /// A point of its series.
    step: TimeDelta,
    step_name: &'static str,
}

impl Grid {
    fn of(window: Duration, by_hours: bool) -> Self {
        let (minute, hour, day) = (TimeDelta::minutes(1), TimeDelta::hours(1), TimeDelta::days(1));
        match window.as_secs() {
            0..=7_200 if !by_hours => Self { edge: minute, step: minute, step_name: "minute" },
            0..=259_200 => Self { edge: if by_hours { hour } else { minute }, step: hour, step_name: "hour" },
            _ => Self { edge: hour, step: day, step_name: "day" },
        }
    }
}

/// A part of what was counted.
struct Part {
    /// `None`: it counts live runs.
    begin_at: Option<DateTime<Utc>>,
    counts: Counts,
    durations: Tally,
    reasons: Tally,
}

impl FromRow<'_, PgRow> for Part {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            begin_at: row.try_get("begin_at")?,
            counts: Counts {
                succeeded: row.try_get("succeeded")?,
                failed: row.try_get("failed")?,
                skipped: row.try_get("skipped")?,
                cancelled: row.try_get("cancelled")?,
                dry: row.try_get("dry")?,
                out_of_sync: row.try_get("out_of_sync")?,
            },
            durations: row.try_get::<Json<_>, _>("durations")?.0,
            reasons: row.try_get::<Json<_>, _>("reasons")?.0,
        })
    }
}

/// How often each of some keys was counted, or each time that one was.
#[derive(Deserialize)]
#[serde(untagged)]
enum Tally {
    Counts(HashMap<String, i64>),
    Bins(Vec<i16>),
    Reasons(Vec<String>),
}

impl Tally {
    fn add_to(self, sums: &mut HashMap<String, i64>) {
        let mut add = |key: String, count| *sums.entry(key).or_default() += count;
        match self {
            Self::Counts(counts) => counts.into_iter().for_each(|(key, count)| add(key, count)),
            Self::Bins(bins) => bins.into_iter().for_each(|bin| add(bin.to_string(), 1)),
            Self::Reasons(reasons) => reasons.into_iter().for_each(|reason| add(reason, 1)),
        }
    }
}

impl Store {
    /// Counts the runs of `filter`'s tenants or organization that ended within the last `window`, and those that are live. What that
    /// costs does not depend on the history, but where tenants are named: then on theirs.
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
        let grid = Grid::of(window, tenants.is_none() && filter.organization.is_some());
        let start_at = floor(start_at, grid.edge);
        let parts = match tenants {
            None => self.summed(filter, start_at, grid).await?,
            Some(tenants) => self.counted_singly(filter, &tenants, start_at, grid).await?,
        };
        let failures = LogFilter {
            states: vec![RunState::Failed],
            dry_run: Some(false),
            ended_from: Some(start_at),
            ..filter.clone()
        };
        let mut stats = added_up(parts, start_at, end_at, grid);
        // No more are looked for than there are.
        stats.recent_failures = self.logs(&failures, None, stats.ended.failed.min(RECENT_FAILURES)).await?.runs;
        let only = filter.tenant.clone().map(|tenant| vec![tenant]).or_else(|| filter.only.clone());
        let wanted = SyncFilter { organization: filter.organization.clone(), only, ..SyncFilter::default() };
        stats.tenants_out_of_sync = self.out_of_sync(&wanted).await?.iter().map(|(_, tenants)| tenants).sum();
        Ok(stats)
    }

    async fn summed(&self, filter: &LogFilter, start_at: DateTime<Utc>, grid: Grid) -> Result<Vec<Part>, Error> {
        // Minutes up to a whole hour, hours up to a whole day, and days, as far as the series allows.
        let ever = start_at + EVER;
        let (hours_at, days_at) = match grid.step_name {
            "minute" => (ever, ever),
            "hour" => (ceiling(start_at, TimeDelta::hours(1)), ever),
            _ => (start_at, ceiling(start_at, TimeDelta::days(1))),
        };
        let organization = filter.organization.as_ref().map(|organization| organization.as_str());
        Ok(sqlx::query_as(
            "select begin_at, succeeded, failed, skipped, cancelled, dry, out_of_sync, durations, reasons from rollup
              where scope = coalesce($1, '') and grain = 'minute' and begin_at >= $2 and begin_at < $3
             union all
             select begin_at, succeeded, failed, skipped, cancelled, dry, out_of_sync, durations, reasons from rollup
              where scope = coalesce($1, '') and grain = 'hour' and begin_at >= $3 and begin_at < $4
             union all
             select begin_at, succeeded, failed, skipped, cancelled, dry, out_of_sync, durations, reasons from rollup
              where scope = coalesce($1, '') and grain = 'day' and begin_at >= $4
             union all
             select begin_at, succeeded, failed, skipped, cancelled, dry, out_of_sync, to_jsonb(durations), to_jsonb(reasons)
               from rollup_delta
              where scope = coalesce($1, '') and begin_at >= $2
             union all
             select null, count(*) filter (where not dry_run), 0, 0, 0, count(*) filter (where dry_run), 0, '{}', '{}' from run
              where $1::text is null or organization_id = $1",
        )
        .bind(organization)
        .bind(start_at)
        .bind(hours_at)
        .bind(days_at)
        .fetch_all(&self.pool)
        .await?)
    }

    /// Sums are not kept of single tenants: each would cost a write for every run. The condition on the time is written so that the index
    /// to go by is the tenants', which have few runs.
    async fn counted_singly(
        &self,
        filter: &LogFilter,
        tenants: &[&str],
        start_at: DateTime<Utc>,
        grid: Grid,
    ) -> Result<Vec<Part>, Error> {
        Ok(sqlx::query_as(
            "select date_trunc($4, ended_at, 'UTC') as begin_at,
                    count(*) filter (where not dry_run and state = 'succeeded') as succeeded,
                    count(*) filter (where not dry_run and state = 'failed') as failed,
                    count(*) filter (where not dry_run and state = 'skipped') as skipped,
                    count(*) filter (where not dry_run and state = 'cancelled') as cancelled,
                    count(*) filter (where dry_run) as dry,
                    count(*) filter (where found_differences) as out_of_sync,
                    coalesce(jsonb_agg(duration_bin(ended_at - started_at))
                                 filter (where not dry_run and state in ('succeeded', 'failed')), '[]') as durations,
                    coalesce(jsonb_agg(reason) filter (where not dry_run and state = 'failed'), '[]') as reasons
               from run_history
              where tenant_id = any ($1) and ended_at + interval '0' >= $2
                and ($3::text is null or organization_id = $3)
              group by 1
             union all
             select null, count(*) filter (where not dry_run), 0, 0, 0, count(*) filter (where dry_run), 0, '{}', '{}' from run
              where tenant_id = any ($1)
                and ($3::text is null or organization_id = $3)",
        )
        .bind(tenants)
        .bind(start_at)
        .bind(filter.organization.as_ref().map(|organization| organization.as_str()))
        .bind(grid.step_name)
        .fetch_all(&self.planned)
        .await?)
    }
}

fn added_up(parts: Vec<Part>, start_at: DateTime<Utc>, end_at: DateTime<Utc>, grid: Grid) -> SyncStats {
    let (mut live, mut live_dry, mut ended) = (0, 0, Counts::default());
    let (mut durations, mut reasons) = (HashMap::new(), HashMap::new());
    let mut series = BTreeMap::new();
    let mut point = floor(start_at, grid.step);
    while point <= end_at {
        series.insert(point, Counts::default());
        point += grid.step;
    }
    for part in parts {
        let Part { begin_at, counts, .. } = part;
        part.durations.add_to(&mut durations);
        part.reasons.add_to(&mut reasons);
        match begin_at {
            None => (live, live_dry) = (live + counts.succeeded, live_dry + counts.dry),
            Some(begin_at) => {
                ended.add(counts);
                series.entry(floor(begin_at, grid.step)).or_default().add(counts);
            }
        }
    }
    let mut failures: Vec<(String, i64)> = reasons.into_iter().collect();
    failures.sort_by(|(one, many), (other, more)| more.cmp(many).then_with(|| one.cmp(other)));
    let bins: BTreeMap<i32, i64> = durations.into_iter().filter_map(|(bin, n)| Some((bin.parse().ok()?, n))).collect();
    SyncStats {
        start_at,
        end_at,
        total: live + live_dry + ended.succeeded + ended.failed + ended.skipped + ended.cancelled + ended.dry,
        live,
        live_dry,
        ended,
        failures,
        duration_p50: quantile(&bins, 50),
        duration_p95: quantile(&bins, 95),
        recent_failures: Vec::new(),
        tenants_out_of_sync: 0,
        series: series.into_iter().map(|(at, counts)| (at.max(start_at), counts)).collect(),
    }
}

/// The middle of the bin that `percent` of 100 values do not exceed.
fn quantile(bins: &BTreeMap<i32, i64>, percent: i64) -> Option<Duration> {
    let total: i64 = bins.values().sum();
    let rank = (total * percent + 99) / 100;
    let mut seen = 0;
    let bin = bins.iter().find_map(|(bin, count)| {
        seen += count;
        (seen >= rank).then_some(*bin)
    })?;
    Some(Duration::from_secs_f64(((f64::from(bin) + 0.5) / BINS).exp2() / 1000.0))
}

fn floor(time: DateTime<Utc>, step: TimeDelta) -> DateTime<Utc> {
    time.duration_trunc(step).unwrap_or(time)
}

fn ceiling(time: DateTime<Utc>, step: TimeDelta) -> DateTime<Utc> {
    let floor = floor(time, step);
    if floor == time { time } else { floor + step }
}

impl LogFilter {
    /// The tenants that it is limited to.
    fn tenants(&self) -> Option<Vec<&str>> {
        let is_wanted = |tenant: &&TenantId| self.tenant.as_ref().is_none_or(|wanted| wanted == *tenant);
        match (&self.only, &self.tenant) {
            (None, None) => None,
            (None, Some(tenant)) => Some(vec![tenant.as_str()]),
            (Some(only), _) => Some(only.iter().filter(is_wanted).map(TenantId::as_str).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_within_a_tenth() {
        // As the database does it.
        #[expect(clippy::cast_possible_truncation, reason = "small")]
        let bin = |ms: f64| (BINS * ms.ln() / 2_f64.ln()).floor() as i32;
        for ms in [1.0, 1.5, 37.0, 250.0, 10_000.0, 3_600_000.0] {
            let found = quantile(&BTreeMap::from([(bin(ms), 3)]), 50).expect("a value").as_secs_f64() * 1000.0;
            assert!((found / ms - 1.0).abs() < 0.1, "{ms} {found}");
        }
        let bins = BTreeMap::from([(bin(10.0), 94), (bin(5_000.0), 6)]);
        assert!(quantile(&bins, 50) < Some(Duration::from_millis(12)));
        assert!(quantile(&bins, 95) > Some(Duration::from_secs(4)));
        assert_eq!(quantile(&BTreeMap::new(), 50), None);
    }
}
