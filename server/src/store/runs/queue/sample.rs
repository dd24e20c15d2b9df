//! Samples of the queue for the metrics, at a cost that does not grow with it.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, Row, postgres::PgRow};

use crate::{
    error::Error,
    store::{connections::ConnectionPool, handle::Store, statement::StatementTime},
};

/// Maximum number of rows of a kind that are counted. Beyond it, the sample has PostgreSQL's estimate of the ready queue's index.
const EXACT_COUNT_LIMIT: i64 = 10_000;

/// A sample of the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueSample {
    /// The time of the sample.
    pub at: DateTime<Utc>,
    /// Interactive runs in the ready queue. Of each kind, no more than 10,000 are counted.
    pub interactive: i64,
    /// Bulk runs in the ready queue; beyond 10,000 an estimate, of both kinds together.
    pub bulk: i64,
    /// Delayed runs.
    pub delayed: i64,
    /// Running runs.
    pub running: i64,
    /// When the next interactive run of the ready queue was accepted; `None`: there is none.
    pub interactive_since: Option<DateTime<Utc>>,
    /// When the next bulk run of the ready queue was accepted; `None`: there is none.
    pub bulk_since: Option<DateTime<Utc>>,
}

/// Connections of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// Open connections.
    pub open: u32,
    /// Idle ones among them.
    pub idle: u32,
}

impl FromRow<'_, PgRow> for QueueSample {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            at: row.try_get("at")?,
            interactive: row.try_get("interactive")?,
            bulk: row.try_get("bulk")?,
            delayed: row.try_get("delayed")?,
            running: row.try_get("running")?,
            interactive_since: row.try_get("interactive_since")?,
            bulk_since: row.try_get("bulk_since")?,
        })
    }
}

impl Store {
    /// Samples the queue: reads first entries of indexes, and counts at most 40,000 rows.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn queue_sample(&self, now: StatementTime) -> Result<QueueSample, Error> {
        let statement = sqlx::query_as(include_str!("queue_sample.sql")).bind(now).bind(EXACT_COUNT_LIMIT);
        // On the queue's pool, so by the indexes of the ready queue, even if the table is so small that reading it whole looks cheap.
        Ok(statement.fetch_one(&self.queue_pool).await?)
    }

    /// Counts the tenants in conflict, by their partial index; at most 10,000 are counted.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn in_conflict_sample(&self) -> Result<i64, Error> {
        let count = sqlx::query_scalar(
            "select count(*) from (select 1 from tenant_sync where conflict_at is not null limit $1) as counted",
        );
        Ok(count.bind(EXACT_COUNT_LIMIT).fetch_one(&self.pool).await?)
    }

    /// Counts the connections of each pool, by what it is for.
    #[must_use]
    pub fn connections(&self) -> [(&'static str, Connections); 4] {
        let number = |count| u32::try_from(count).unwrap_or(u32::MAX);
        let count = |pool: &ConnectionPool| {
            let (open, idle) = pool.count();
            Connections { open: number(open), idle: number(idle) }
        };
        [
            ("main", count(&self.pool)),
            ("queue", count(&self.queue_pool)),
            ("flags", count(&self.flag_pool)),
            ("history", count(&self.history_pool)),
        ]
    }
}
