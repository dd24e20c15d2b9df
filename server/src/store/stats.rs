//! Counting runs: those that ended, by the sums that are kept of them, and those that are live, in one snapshot.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use sqlx::{FromRow, Row, postgres::PgRow, types::Json};

use super::{LogFilter, Now, Store, interval, tally::Tally};
use crate::{
    domain::{Run, RunState, TenantId},
    error::Error,
};

/// How many failures the statistics name.
pub(super) const RECENT_FAILURES: usize = 5;
/// Bins of durations for each doubling.
const BINS: f64 = 4.0;
/// Later than any end.
const EVER: TimeDelta = TimeDelta::days(365 * 1000);

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

/// Whose runs are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    All,
    Organization,
    Tenants,
}

/// How finely a window is cut.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grid {
    /// Where it may begin.
    edge: TimeDelta,
    /// A point of its series.
    step: TimeDelta,
    pub(super) step_name: &'static str,
}

impl Grid {
    fn of(window: Duration, scope: Scope) -> Self {
        let (minute, hour, day) = (TimeDelta::minutes(1), TimeDelta::hours(1), TimeDelta::days(1));
        let by_hours = scope == Scope::Organization;
        match window.as_secs() {
            0..=7_200 if !by_hours => Self { edge: minute, step: minute, step_name: "minute" },
            0..=259_200 => Self { edge: if by_hours { hour } else { minute }, step: hour, step_name: "hour" },
            _ => Self { edge: if scope == Scope::Tenants { day } else { hour }, step: day, step_name: "day" },
        }
    }
}

/// A part of what was counted.
pub(super) struct Part {
    /// `None`: it counts live runs.
    begin_at: Option<DateTime<Utc>>,
    counts: Counts,
    /// By their bins.
    durations: Tally<i16>,
    reasons: Tally<String>,
}

impl FromRow<'_, PgRow> for Part {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let (durations, reasons) = (row.try_get::<Json<_>, _>("durations")?.0, row.try_get::<Json<_>, _>("reasons")?.0);
        Self::new(row, durations, reasons)
    }
}

impl Part {
    /// With durations and reasons as the caller has read them.
    pub(super) fn new(row: &PgRow, durations: Tally<i16>, reasons: Tally<String>) -> Result<Self, sqlx::Error> {
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
            durations,
            reasons,
        })
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
        let start_at = floor(start_at, grid.edge);
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
}

fn added_up(parts: Vec<Part>, start_at: DateTime<Utc>, end_at: DateTime<Utc>, grid: Grid) -> SyncStats {
    let (mut live, mut live_dry, mut ended) = (0, 0, Counts::default());
    let (mut durations, mut reasons) = (BTreeMap::new(), BTreeMap::new());
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
    SyncStats {
        start_at,
        end_at,
        total: live + live_dry + ended.succeeded + ended.failed + ended.skipped + ended.cancelled + ended.dry,
        live,
        live_dry,
        ended,
        failures,
        duration_p50: quantile(&durations, 50),
        duration_p95: quantile(&durations, 95),
        recent_failures: Vec::new(),
        tenants_out_of_sync: 0,
        series: series.into_iter().map(|(at, counts)| (at.max(start_at), counts)).collect(),
    }
}

/// The middle of the bin that `percent` of 100 values do not exceed.
fn quantile(bins: &BTreeMap<i16, i64>, percent: i64) -> Option<Duration> {
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
    pub(super) fn tenants(&self) -> Option<Vec<&str>> {
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
        let bin = |ms: f64| (BINS * ms.ln() / 2_f64.ln()).floor() as i16;
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
