//! Cancelling batches.

use super::chunk::{BATCHES_PER_CALLER_PER_ROUND, ChunkLimits, ChunkResult, Expansion, end_chunk, is_expanded};
use crate::{
    domain::{BatchId, RunId},
    error::Error,
    store::{
        connections::Connection,
        handle::Store,
        history::partition::run_to_history_columns,
        runs::cancel::{awaits_write_outcome, cancelled_columns},
        statement::StatementTime,
    },
};

impl Store {
    /// Marks a batch as cancelled; [`Store::process_batch_chunk`] does the rest. A batch that has ended stays as it is.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn cancel_batch(&self, now: StatementTime, batch: BatchId) -> Result<bool, Error> {
        let done = sqlx::query_scalar(include_str!("cancel_batch.sql"))
            .bind(batch)
            .bind(now)
            .bind(BATCHES_PER_CALLER_PER_ROUND)
            .fetch_one(&self.pool)
            .await?;
        Ok(done)
    }
}

/// Cancels runs as [`Store::cancel`] does. Locked runs are left to the next chunk. Runs that another request has joined
/// are not cancelled, because that request was promised its run.
pub(in crate::store) async fn cancel(
    connection: &mut Connection,
    now: StatementTime,
    expansion: &Expansion,
    chunk: ChunkLimits,
) -> Result<ChunkResult, sqlx::Error> {
    let rows: Vec<(RunId, bool)> = sqlx::query_as(concat!(
        "with chosen as materialized (
             -- The next live runs of the batch that no other request has joined, and whether each can end at once.
             select id, state = 'queued' and write_intent is null and written = '[]' as is_over from run
              where batch_id = $2 and not cancel_requested and bulk and joined_at is null
              order by id
              limit $3
                for update skip locked
         ), marked as (
             -- Those that cannot: their holder, or their next attempt, ends them.
             update run
                set cancel_requested = true, revision = revision + 1,
                    next_attempt_at = case when ",
        awaits_write_outcome!(),
        " then next_attempt_at end
              where id = any (array(select id from chosen where not is_over))
             returning id, state
         ), ended as (
             -- Those that can, deleted.
             delete from run
              where id = any (array(select id from chosen where is_over))
             returning ",
        run_to_history_columns!(),
        cancelled_columns!(),
        "
         ), moved as (
             -- Their rows in the history.
             ",
        include_str!("../history/insert_into_history.sql"),
        "returning id
         )
         select id, state = 'running' from marked
          union all
         select id, false from moved"
    ))
    .bind(now)
    .bind(expansion.id)
    .bind(chunk.size)
    .fetch_all(&mut *connection)
    .await?;
    let changed: Vec<RunId> = rows.iter().map(|(id, _)| *id).collect();
    let cancelling = rows.into_iter().filter_map(|(id, is_running)| is_running.then_some(id)).collect();
    let is_left: bool = sqlx::query_scalar(
        "select exists (select 1 from run where batch_id = $1 and not cancel_requested and bulk and joined_at is null)",
    )
    .bind(expansion.id)
    .fetch_one(&mut *connection)
    .await?;
    let is_done = !is_left && is_expanded(connection, now, expansion.id, true).await?;
    if !is_done {
        end_chunk(connection, now, expansion.id, chunk).await?;
    }
    Ok(ChunkResult { batch: expansion.id, changed, cancelling, is_done })
}
