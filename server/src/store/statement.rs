//! Parameters that statements share: the time, and durations.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::postgres::types::PgInterval;

/// The time of a statement; `None` is the database's clock.
pub type StatementTime = Option<DateTime<Utc>>;

/// Returns a duration as an interval, truncated to microseconds.
pub(super) fn interval(duration: Duration) -> PgInterval {
    PgInterval { months: 0, days: 0, microseconds: i64::try_from(duration.as_micros()).unwrap_or(i64::MAX) }
}
