//! Cancelling a run.

use super::{Now, Store, row::RunRow};
use crate::{
    domain::{Run, RunId},
    error::Error,
};

impl Store {
    /// Cancels a run: a queued one at once, unless an earlier attempt's write is unsettled; any other live one is marked, for its
    /// holder or its next attempt. `None` when the run is terminal already.
    ///
    /// # Errors
    /// The database's.
    pub async fn cancel(&self, now: Now, run: RunId) -> Result<Option<Run>, Error> {
        let row = sqlx::query_as::<_, RunRow>(
            "update run
                set state = case when state = 'queued' and intent is null then 'cancelled' else state end,
                    ended_at = case when state = 'queued' and intent is null then coalesce($2, now()) end,
                    due_at = null,
                    cancel_requested = true,
                    revision = revision + 1
              where id = $1 and state in ('queued', 'running')
             returning *",
        )
        .bind(run)
        .bind(now)
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| row.0))
    }
}
