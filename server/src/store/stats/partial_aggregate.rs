//! Parts of what was counted, and what they add up to.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use sqlx::{FromRow, Row, postgres::PgRow, types::Json};

use super::{count_map::CountMap, window::WindowLayout};
use crate::domain::{EndedRuns, SyncStats};

/// Bins of durations for each doubling.
const BUCKETS_PER_DOUBLING: f64 = 4.0;

/// A part of what was counted.
pub(in crate::store) struct PartialAggregate {
    /// `None`: it counts live runs.
    starts_at: Option<DateTime<Utc>>,
    /// Nothing where another part has the same runs' counts, and this one only what was tallied of them.
    counts: EndedRuns,
    /// By their bins.
    durations: CountMap<i16>,
    reasons: CountMap<String>,
}

/// A sum, as `rollup` has it.
impl FromRow<'_, PgRow> for PartialAggregate {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let counts = if row.try_get(1)? { counts_at(row, 2)? } else { EndedRuns::default() };
        let durations: Option<Json<CountMap<i16>>> = row.try_get(8)?;
        let reasons: Option<Json<CountMap<String>>> = row.try_get(9)?;
        Ok(Self::new(row.try_get(0)?, counts, durations.map(|json| json.0), reasons.map(|json| json.0)))
    }
}

impl PartialAggregate {
    /// With durations and reasons as far as they were tallied.
    pub(in crate::store) fn new(
        starts_at: Option<DateTime<Utc>>,
        counts: EndedRuns,
        durations: Option<CountMap<i16>>,
        reasons: Option<CountMap<String>>,
    ) -> Self {
        Self { starts_at, counts, durations: durations.unwrap_or_default(), reasons: reasons.unwrap_or_default() }
    }
}

/// Reads counts from six columns of a row, from `first` on. There are hundreds of rows: looking up each column by its
/// name would take as long as reading it.
pub(in crate::store) fn counts_at(row: &PgRow, first: usize) -> Result<EndedRuns, sqlx::Error> {
    Ok(EndedRuns {
        succeeded: row.try_get(first)?,
        failed: row.try_get(first + 1)?,
        skipped: row.try_get(first + 2)?,
        cancelled: row.try_get(first + 3)?,
        dry_runs: row.try_get(first + 4)?,
        out_of_sync: row.try_get(first + 5)?,
    })
}

/// Adds up parts of a window, which lacks its newest failures and the tenants that are out of sync.
pub(in crate::store) fn combine(
    parts: Vec<PartialAggregate>,
    start_at: DateTime<Utc>,
    end_at: DateTime<Utc>,
    layout: WindowLayout,
) -> SyncStats {
    let (mut live, mut live_dry_runs, mut ended) = (0, 0, EndedRuns::default());
    let (mut durations, mut reasons) = (BTreeMap::new(), BTreeMap::new());
    let mut series: BTreeMap<_, _> =
        layout.points(start_at, end_at).map(|point| (point, EndedRuns::default())).collect();
    for part in parts {
        let PartialAggregate { starts_at, counts, .. } = part;
        part.durations.add_to(&mut durations);
        part.reasons.add_to(&mut reasons);
        match starts_at {
            None => (live, live_dry_runs) = (live + counts.succeeded, live_dry_runs + counts.dry_runs),
            Some(starts_at) => {
                ended.add(counts);
                series.entry(layout.step.floor(starts_at)).or_default().add(counts);
            }
        }
    }
    let mut failures: Vec<(String, i64)> = reasons.into_iter().collect();
    failures.sort_by(|(one, many), (other, more)| more.cmp(many).then_with(|| one.cmp(other)));
    SyncStats {
        start_at,
        end_at,
        total: live + live_dry_runs + ended.succeeded + ended.failed + ended.skipped + ended.cancelled + ended.dry_runs,
        live,
        live_dry_runs,
        ended,
        failures,
        duration_p50: quantile(&durations, 50),
        duration_p95: quantile(&durations, 95),
        recent_failures: Vec::new(),
        out_of_sync_tenants: 0,
        series: series.into_iter().map(|(at, counts)| (at.max(start_at), counts)).collect(),
    }
}

/// The middle of the bin that `percent` of 100 values do not exceed.
fn quantile(buckets: &BTreeMap<i16, i64>, percent: i64) -> Option<Duration> {
    let total: i64 = buckets.values().sum();
    let rank = (total * percent + 99) / 100;
    let mut seen = 0;
    let bucket = buckets.iter().find_map(|(bucket, count)| {
        seen += count;
        (seen >= rank).then_some(*bucket)
    })?;
    Some(Duration::from_secs_f64(((f64::from(bucket) + 0.5) / BUCKETS_PER_DOUBLING).exp2() / 1000.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_within_a_tenth() {
        // As the database does it.
        #[expect(clippy::cast_possible_truncation, reason = "small")]
        let bucket = |ms: f64| (BUCKETS_PER_DOUBLING * ms.ln() / 2_f64.ln()).floor() as i16;
        for ms in [1.0, 1.5, 37.0, 250.0, 10_000.0, 3_600_000.0] {
            let found = quantile(&BTreeMap::from([(bucket(ms), 3)]), 50).expect("a value").as_secs_f64() * 1000.0;
            assert!((found / ms - 1.0).abs() < 0.1, "{ms} {found}");
        }
        let buckets = BTreeMap::from([(bucket(10.0), 94), (bucket(5_000.0), 6)]);
        assert!(quantile(&buckets, 50) < Some(Duration::from_millis(12)));
        assert!(quantile(&buckets, 95) > Some(Duration::from_secs(4)));
        assert_eq!(quantile(&BTreeMap::new(), 50), None);
    }
}
