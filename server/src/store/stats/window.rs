//! How a window of time is cut: begins that sums are kept of, the points of a series, and as few sums as it can be put together from.

use std::time::Duration;

use chrono::{DateTime, Datelike, DurationRound, TimeDelta, Utc};

/// Later than any end.
const UNBOUNDED: TimeDelta = TimeDelta::days(365 * 1000);

/// What a sum is of, as `rollup_start` in the migrations has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::store) enum Grain {
    Minute,
    TenMinutes,
    Hour,
    Day,
    Week,
}

impl Grain {
    /// The finest first.
    const ALL: [Self; 5] = [Self::Minute, Self::TenMinutes, Self::Hour, Self::Day, Self::Week];

    pub(in crate::store) fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::TenMinutes => "ten_minutes",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
        }
    }

    fn length(self) -> TimeDelta {
        match self {
            Self::Minute => TimeDelta::minutes(1),
            Self::TenMinutes => TimeDelta::minutes(10),
            Self::Hour => TimeDelta::hours(1),
            Self::Day => TimeDelta::days(1),
            Self::Week => TimeDelta::weeks(1),
        }
    }

    /// The begin (UTC) of the sum that has `time` in it.
    pub(in crate::store) fn floor(self, time: DateTime<Utc>) -> DateTime<Utc> {
        if self == Self::Week {
            return Self::Day.floor(time) - TimeDelta::days(time.weekday().num_days_from_monday().into());
        }
        time.duration_trunc(self.length()).unwrap_or(time)
    }

    /// The first begin that is not before `time`.
    fn ceiling(self, time: DateTime<Utc>) -> DateTime<Utc> {
        let floor = self.floor(time);
        if floor == time { time } else { floor + self.length() }
    }
}

/// Whose runs are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Scope {
    All,
    Organization,
    Tenants,
}

/// How finely a window is cut.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct WindowLayout {
    /// Where it may begin.
    edge: Grain,
    /// A point of its series.
    pub(in crate::store) step: Grain,
}

/// A part of a window that is read by sums of one grain.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct WindowSegment {
    pub(in crate::store) grain: Grain,
    pub(in crate::store) starts_at: DateTime<Utc>,
    /// Runs are counted by these sums that begin before; not later than the begin: none are.
    pub(in crate::store) counts_before: DateTime<Utc>,
    /// The same for durations and reasons.
    pub(in crate::store) histograms_before: DateTime<Utc>,
}

impl WindowLayout {
    pub(in crate::store) fn of(window: Duration, scope: Scope) -> Self {
        let by_hours = scope == Scope::Organization;
        match window.as_secs() {
            0..=7_200 if !by_hours => Self { edge: Grain::Minute, step: Grain::Minute },
            0..=259_200 => Self { edge: if by_hours { Grain::Hour } else { Grain::Minute }, step: Grain::Hour },
            _ => Self { edge: if scope == Scope::Tenants { Grain::Day } else { Grain::Hour }, step: Grain::Day },
        }
    }

    /// Where a window begins that is to begin at `time`: there, or a little earlier.
    pub(in crate::store) fn begin(self, time: DateTime<Utc>) -> DateTime<Utc> {
        self.edge.floor(time)
    }

    /// The begins of the points of a series.
    pub(in crate::store) fn points(
        self,
        start_at: DateTime<Utc>,
        end_at: DateTime<Utc>,
    ) -> impl Iterator<Item = DateTime<Utc>> {
        let next = move |point: &DateTime<Utc>| Some(*point + self.step.length());
        std::iter::successors(Some(self.step.floor(start_at)), next).take_while(move |point| *point <= end_at)
    }

    /// What everything from `start_at` on, where a window begins, is put together from. Each grain goes as far as the next one can take
    /// over; only the series needs its points to the end.
    pub(in crate::store) fn segments(self, start_at: DateTime<Utc>) -> Vec<WindowSegment> {
        let grains = Grain::ALL.into_iter().filter(|grain| *grain >= self.edge);
        let mut starts_at = start_at;
        let mut segments = Vec::with_capacity(Grain::ALL.len());
        for grain in grains {
            let coarser = Grain::ALL.into_iter().find(|coarser| *coarser > grain);
            let end_at = coarser.map_or(start_at + UNBOUNDED, |coarser| coarser.ceiling(starts_at));
            let counts_before = match grain.cmp(&self.step) {
                std::cmp::Ordering::Less => end_at,
                std::cmp::Ordering::Equal => start_at + UNBOUNDED,
                std::cmp::Ordering::Greater => starts_at,
            };
            segments.push(WindowSegment { grain, starts_at, counts_before, histograms_before: end_at });
            starts_at = end_at;
        }
        segments
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SCOPES: [Scope; 3] = [Scope::All, Scope::Organization, Scope::Tenants];

    fn time(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).expect("a time")
    }

    #[test]
    fn weeks_begin_on_mondays() {
        let monday = time(4 * 86_400);
        assert_eq!(monday.weekday(), chrono::Weekday::Mon);
        for (seconds, begin) in [(0, monday), (1, monday), (7 * 86_400 - 1, monday), (-1, monday - TimeDelta::weeks(1))]
        {
            assert_eq!(Grain::Week.floor(monday + TimeDelta::seconds(seconds)), begin, "{seconds}");
        }
        assert_eq!(Grain::Week.ceiling(monday), monday);
    }

    proptest! {
        /// Each end is counted once and tallied once, wherever a window begins.
        #[test]
        fn the_pieces_of_a_window_are_the_window(at in 0..4_000_000_000_i64, seconds in 1..90 * 86_400_u64, later in 0..100 * 86_400_i64) {
            for scope in SCOPES {
                let layout = WindowLayout::of(Duration::from_secs(seconds), scope);
                let start_at = layout.begin(time(at));
                let end = start_at + TimeDelta::seconds(later);
                let segments = layout.segments(start_at);
                let sums = |before: fn(&WindowSegment) -> DateTime<Utc>| {
                    segments.iter().filter(|piece| {
                        let sum = piece.grain.floor(end);
                        sum >= piece.starts_at && sum < before(piece)
                    }).count()
                };
                prop_assert_eq!((sums(|piece| piece.counts_before), sums(|piece| piece.histograms_before)), (1, 1));
                for piece in segments.iter().filter(|piece| piece.counts_before > piece.starts_at) {
                    prop_assert!(piece.grain <= layout.step, "a point of the series is not cut");
                }
            }
        }
    }
}
