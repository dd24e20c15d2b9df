//! Moves delayed runs into the ready queue once they are due.

use std::time::Duration;

use crate::{
    error::Error,
    store::{handle::Store, statement::StatementTime},
};

/// The result of moving due runs into the ready queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnqueuedDue {
    /// How many runs were moved.
    pub runs: i64,
    /// How long until the next delayed run is due, at most a day; `None`: no run is delayed.
    pub next: Option<Duration>,
}

impl Store {
    /// Moves up to `limit` due runs into the ready queue, as if they had been accepted now.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn enqueue_due(&self, now: StatementTime, limit: i64) -> Result<EnqueuedDue, Error> {
        let statement = sqlx::query_as(include_str!("enqueue_due.sql")).bind(now).bind(limit);
        let (runs, seconds): (i64, Option<f64>) = statement.fetch_one(&self.queue_pool).await?;
        Ok(EnqueuedDue { runs, next: seconds.map(|seconds| Duration::from_secs_f64(seconds.clamp(0.0, 86_400.0))) })
    }
}
