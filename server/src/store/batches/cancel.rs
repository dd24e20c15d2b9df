//! Cancelling batches.

use super::expansion::{BATCHES_PER_CALLER_PER_ROUND, ChunkLimits, ChunkResult, Expansion, end_chunk, is_expanded};
use crate::{
    domain::{BatchId, RunId},
    error::Error,
    store::{
        connections::Connection,
        handle::Store,
        history::partition::{insert_into_history, run_to_history_columns},
        runs::cancel::{awaits_write_outcome, cancelled_columns},
        statement::StatementTime,
        stats::rollup::{insert_rollup_delta, rollup_source_columns},
    },
};

impl Store {
    /// Marks a batch as cancelled; [`Store::process_batch_chunk`] does the rest. Nothing happens to one that is over.
    ///
    /// # Errors
    /// The database's.
    pub async fn cancel_batch(&self, now: StatementTime, batch: BatchId) -> Result<bool, Error> {
        let done = sqlx::query_scalar(
            "with cancelled as (
                 update batch set cancel_requested_at = coalesce(cancel_requested_at, $2, now())
                  where id = $1 and ended_at is null
                 returning id, caller
             ), ranked as materialized (
                 -- The first of its round, and in turn with the caller's other batches that are being cancelled, but not with those that are
                 -- being made: a caller who has many of these is stopped as soon as any other.
                 select id, caller, coalesce((select fairness_rank from batch_expansion order by fairness_rank limit 1), 0)
                                    + (select count(*) from batch_expansion own where own.caller = cancelled.caller and own.cancelling) / $3
                                    as fairness_rank
                   from cancelled
             ), moved as (
                 -- Not while a chunk of it is being made, which a caller is not to wait for: the end of its turn finds the cancellation.
                 update batch_expansion
                    set last_chunk_at = '-infinity', cancelling = true, fairness_rank = least(batch_expansion.fairness_rank, ranked.fairness_rank)
                   from ranked
                  where batch_id = any (array(select batch_id from batch_expansion
                                               where batch_id = $1 and not cancelling
                                                 for update skip locked))
             ), to_do as (
                 insert into batch_expansion (batch_id, last_chunk_at, caller, cancelling, fairness_rank) select id, '-infinity', caller, true, fairness_rank from ranked
                 on conflict (batch_id) do nothing
             )
             select exists (select 1 from cancelled)",
        )
        .bind(batch)
        .bind(now)
        .bind(BATCHES_PER_CALLER_PER_ROUND)
        .fetch_one(&self.pool)
        .await?;
        Ok(done)
    }
}

/// Cancels runs as [`Store::cancel`] does. Whoever has one locked is left in peace until the next chunk. Runs that another request has joined
/// are left alone, because that was promised that they do what it asks for.
pub(in crate::store) async fn cancel(
    connection: &mut Connection,
    now: StatementTime,
    expansion: &Expansion,
    chunk: ChunkLimits,
) -> Result<ChunkResult, sqlx::Error> {
    let rows: Vec<(RunId, bool)> = sqlx::query_as(concat!(
        "with chosen as materialized (
             select id, state = 'queued' and write_intent is null and written = '[]' as is_over from run
              where batch_id = $2 and not cancel_requested and bulk and joined_at is null
              order by id
              limit $3
                for update skip locked
         ), marked as (
             update run
                set cancel_requested = true, revision = revision + 1,
                    next_attempt_at = case when ",
        awaits_write_outcome!(),
        " then next_attempt_at end
              where id = any (array(select id from chosen where not is_over))
             returning id, state
         ), ended as (
             delete from run
              where id = any (array(select id from chosen where is_over))
             returning ",
        run_to_history_columns!(),
        cancelled_columns!(),
        "
         ), moved as (",
        insert_into_history!(),
        "returning ",
        rollup_source_columns!(),
        "
         ), counted as (",
        insert_rollup_delta!(),
        ")
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
