//! Parts of what was counted, and what they add up to.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use sqlx::{FromRow, Row, postgres::PgRow, types::Json};

use super::{
    stats::{Counts, SyncStats},
    tally::Tally,
    window::Grid,
};

/// Bins of durations for each doubling.
const BINS: f64 = 4.0;

/// A part of what was counted.
pub(super) struct Part {
    /// `None`: it counts live runs.
    begin_at: Option<DateTime<Utc>>,
    /// Nothing where another part has the same runs' counts, and this one only what was tallied of them.
    counts: Counts,
    /// By their bins.
    durations: Tally<i16>,
    reasons: Tally<String>,
}

/// A sum, as `rollup` has it.
impl FromRow<'_, PgRow> for Part {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let counts = if row.try_get(1)? { Counts::at(row, 2)? } else { Counts::default() };
        let durations: Option<Json<Tally<i16>>> = row.try_get(8)?;
        let reasons: Option<Json<Tally<String>>> = row.try_get(9)?;
        Ok(Self::new(row.try_get(0)?, counts, durations.map(|json| json.0), reasons.map(|json| json.0)))
    }
}

impl Part {
    /// With durations and reasons as far as they were tallied.
    pub(super) fn new(
        begin_at: Option<DateTime<Utc>>,
        counts: Counts,
        durations: Option<Tally<i16>>,
        reasons: Option<Tally<String>>,
    ) -> Self {
        Self { begin_at, counts, durations: durations.unwrap_or_default(), reasons: reasons.unwrap_or_default() }
    }
}

/// Adds up parts of a window, which lacks its newest failures and the tenants that are out of sync.
pub(super) fn added_up(parts: Vec<Part>, start_at: DateTime<Utc>, end_at: DateTime<Utc>, grid: Grid) -> SyncStats {
    let (mut live, mut live_dry, mut ended) = (0, 0, Counts::default());
    let (mut durations, mut reasons) = (BTreeMap::new(), BTreeMap::new());
    let mut series: BTreeMap<_, _> = grid.points(start_at, end_at).map(|point| (point, Counts::default())).collect();
    for part in parts {
        let Part { begin_at, counts, .. } = part;
        part.durations.add_to(&mut durations);
        part.reasons.add_to(&mut reasons);
        match begin_at {
            None => (live, live_dry) = (live + counts.succeeded, live_dry + counts.dry),
            Some(begin_at) => {
                ended.add(counts);
                series.entry(grid.step.floor(begin_at)).or_default().add(counts);
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
