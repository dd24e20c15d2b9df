//! Chunks: the part of a batch that one transaction creates or cancels, and the end of that transaction.

use chrono::{DateTime, Utc};

use super::{target::BatchTarget, tenants::delete_tenants};
use crate::{
    domain::{BatchId, FlagAtAcceptance, RunId, RunKind, RunOptions},
    store::{connections::Connection, statement::StatementTime},
};

/// The size of a chunk.
#[derive(Debug, Clone, Copy)]
pub struct ChunkLimits {
    /// How many tenants to expand, or runs to cancel.
    pub size: i64,
    /// The number of live runs at which a batch waits for some of them to end.
    pub live: i64,
}

/// Batches of one caller that have a turn each in a round. Further ones take turns with these, so that a
/// caller of thousands of batches is served no more than this many times as often as one who has a single batch.
pub(in crate::store) const BATCHES_PER_CALLER_PER_ROUND: i64 = 4;

/// The result of a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkResult {
    /// The batch.
    pub batch: BatchId,
    /// Runs that were created or cancelled.
    pub changed: Vec<RunId>,
    /// Running runs whose holders are to cancel them.
    pub cancelling: Vec<RunId>,
    /// Whether the batch has nothing left to do but to wait for its runs.
    pub is_done: bool,
}

/// A batch whose chunk is claimed.
pub(in crate::store) struct Expansion {
    pub(in crate::store) id: BatchId,
    pub(in crate::store) cursor: String,
    pub(in crate::store) target: BatchTarget,
    /// No tenant of it was created later. `None`: its tenants are not recorded yet.
    pub(in crate::store) created_until: Option<DateTime<Utc>>,
    pub(in crate::store) flag_at_acceptance: FlagAtAcceptance,
    pub(in crate::store) kind: RunKind,
    pub(in crate::store) max_attempts: i32,
    pub(in crate::store) caller: String,
    /// The options of its runs.
    pub(in crate::store) options: RunOptions,
    pub(in crate::store) created_at: DateTime<Utc>,
    pub(in crate::store) is_cancelled: bool,
}

/// Ends a batch's turn: its next one is in the next round of the batches that have something to do now, or later if its caller has
/// many. A batch that had to wait for its runs does not catch up on the rounds that it missed.
pub(in crate::store) async fn end_chunk(
    connection: &mut Connection,
    now: StatementTime,
    batch: BatchId,
    chunk: ChunkLimits,
) -> Result<(), sqlx::Error> {
    sqlx::query(include_str!("end_chunk.sql"))
        .bind(batch)
        .bind(now)
        .bind(chunk.live)
        .bind(BATCHES_PER_CALLER_PER_ROUND)
        .execute(connection)
        .await?;
    Ok(())
}

/// Records that nothing is left to do, unless the batch has been cancelled: then there is. A batch that was cancelled when all its runs
/// existed may have ended already, with the last of them.
pub(in crate::store) async fn is_expanded(
    connection: &mut Connection,
    now: StatementTime,
    batch: BatchId,
    is_cancelled: bool,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "with expanded as (
             update batch
                set expanded_at = coalesce(expanded_at, $2, now()),
                    ended_at = case when runs_ended = runs_created then coalesce(ended_at, $2, now()) end
              where id = $1 and (cancel_requested_at is not null) = $3
             returning id
         )
         delete from batch_expansion where batch_id in (select id from expanded)",
    )
    .bind(batch)
    .bind(now)
    .bind(is_cancelled)
    .execute(&mut *connection)
    .await?;
    let is_expanded = done.rows_affected() > 0;
    if is_expanded {
        delete_tenants(connection, batch).await?;
    }
    Ok(is_expanded)
}
