//! Cancelling a run.

use crate::{
    domain::{Run, RunId},
    error::Error,
    store::{
        handle::Store,
        history::partition::run_to_history_columns,
        row::{RunRow, run_columns},
        statement::StatementTime,
    },
};

/// The `end_` columns of a run that was cancelled before it began, beside [`run_to_history_columns`].
macro_rules! cancelled_columns {
    () => {
        ", 'cancelled' as end_state, reason as end_reason, error as end_error, plan as end_plan,
                           written as end_written, write_intent as end_write_intent, created as end_created, updated as end_updated,
                           deleted as end_deleted, unmapped as end_unmapped, uncounted_attempts as end_handed_back, true as end_cancel_requested"
    };
}
pub(in crate::store) use cancelled_columns;

/// Whether a run was released while its write may have been on its way. It is due once the write can no longer be, and not before:
/// an earlier attempt may find nothing, and the write arrives afterwards.
macro_rules! awaits_write_outcome {
    () => {
        "(write_intent is not null and attempts -> -1 ->> 'state' = 'released')"
    };
}
pub(in crate::store) use awaits_write_outcome;

impl Store {
    /// Cancels a run: a queued one at once, unless an earlier attempt left a write that is unsettled, or not recorded as the run's end; any
    /// other live one is marked, for its holder or its next attempt. `None` when the run is terminal already.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn cancel(&self, now: StatementTime, run: RunId) -> Result<Option<Run>, Error> {
        if let Some(ended) = self.with_history_partition(now, || self.cancel_queued(now, run)).await? {
            return Ok(Some(ended.0));
        }
        // Any live run is marked, whatever its state is by now. The first cancellation makes the next attempt due at once, which
        // settles what is unsettled. A repeated cancellation must not: attempts without a pause between them would soon be used up.
        let marked = sqlx::query_as::<_, RunRow>(concat!(
            "update run
                set cancel_requested = true, revision = revision + 1,
                    next_attempt_at = case when cancel_requested or ",
            awaits_write_outcome!(),
            " then next_attempt_at end
              where id = $1
             returning ",
            run_columns!(),
            ", next_attempt_at"
        ))
        .bind(run)
        .fetch_optional(&self.pool)
        .await?;
        Ok(marked.map(|row| row.0))
    }

    async fn cancel_queued(&self, now: StatementTime, run: RunId) -> Result<Option<RunRow>, sqlx::Error> {
        sqlx::query_as::<_, RunRow>(concat!(
            "with ended as (
                 -- The run, deleted, if it is queued and has written nothing.
                 delete from run
                  where id = $2 and state = 'queued' and write_intent is null and written = '[]'
                 returning ",
            run_to_history_columns!(),
            cancelled_columns!(),
            "
             ), moved as (
                 -- Its row in the history.
                 ",
            include_str!("../history/insert_into_history.sql"),
            "returning ",
            run_columns!(),
            ", ended_at
             )
             select ",
            run_columns!(),
            ", ended_at from moved"
        ))
        .bind(now)
        .bind(run)
        .fetch_optional(&self.pool)
        .await
    }
}
