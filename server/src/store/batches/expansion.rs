//! Working on batches: making their runs, or cancelling them, a chunk at a time.
//!
//! A chunk is one transaction. The row of `batch_expansion` is locked first and skipped by everybody else; the row of `batch` last, because
//! whoever ends a run locks the run first and counts it there afterwards.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sqlx::{Row, postgres::PgRow, types::Json};

use super::{cancel::cancel, runs::expand, target::BatchTarget, tenants::delete_tenants};
use crate::{
    domain::{
        BatchId, FlagAtAcceptance, GuardRule, OrganizationId, RunId, RunKind, RunOptions, Skip, Strategy, TenantId,
    },
    error::Error,
    store::{
        connections::Connection,
        handle::Store,
        row::{decode, optional_id, text},
        statement::StatementTime,
    },
};

/// How much to do at a time.
#[derive(Debug, Clone, Copy)]
pub struct ChunkLimits {
    /// How many tenants to look at, or runs to cancel.
    pub size: i64,
    /// With so many live runs a batch waits until some of them are over.
    pub live: i64,
}

/// Batches of one caller that have a turn each in a round. What a caller has beyond takes turns with these, so that a caller of thousands of
/// batches is served no more than this many times as often as one who has a single batch.
pub(in crate::store) const BATCHES_PER_CALLER_PER_ROUND: i64 = 4;

/// What was done of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkResult {
    /// The batch.
    pub batch: BatchId,
    /// Runs that were made, or cancelled.
    pub changed: Vec<RunId>,
    /// Runs that are running, and are to be cancelled.
    pub cancelling: Vec<RunId>,
    /// Whether nothing is left to do, but for the runs to end.
    pub is_done: bool,
}

/// What a chunk is of.
pub(in crate::store) struct Expansion {
    pub(in crate::store) id: BatchId,
    pub(in crate::store) cursor: String,
    pub(in crate::store) target: BatchTarget,
    /// No tenant of it was created later. `None`: its tenants are not written down yet.
    pub(in crate::store) created_until: Option<DateTime<Utc>>,
    pub(in crate::store) flag_at_acceptance: FlagAtAcceptance,
    pub(in crate::store) kind: RunKind,
    pub(in crate::store) max_attempts: i32,
    pub(in crate::store) caller: String,
    /// What its runs are asked for beyond strategy and dry run.
    pub(in crate::store) options: RunOptions,
    pub(in crate::store) created_at: DateTime<Utc>,
    pub(in crate::store) is_cancelled: bool,
}

impl Store {
    /// Does the next chunk of the batch whose turn it is: makes runs of some more tenants, or cancels some. `reason_to_skip` is asked for
    /// each tenant. `None`: no batch has anything to do now, or somebody else is at it.
    ///
    /// # Errors
    /// The database's; then nothing was done.
    pub async fn process_batch_chunk(
        &self,
        now: StatementTime,
        chunk: ChunkLimits,
        reason_to_skip: impl Fn(&TenantId, Option<&OrganizationId>) -> Option<Skip> + Send + Sync,
    ) -> Result<Option<ChunkResult>, Error> {
        self.with_history_partition(now, || self.process_chunk_once(now, chunk, &reason_to_skip)).await
    }

    async fn process_chunk_once(
        &self,
        now: StatementTime,
        chunk: ChunkLimits,
        reason_to_skip: impl Fn(&TenantId, Option<&OrganizationId>) -> Option<Skip>,
    ) -> Result<Option<ChunkResult>, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let Some(expansion) = claim(&mut transaction, chunk).await? else { return Ok(None) };
        let worked = if expansion.is_cancelled {
            cancel(&mut transaction, now, &expansion, chunk).await?
        } else {
            expand(&mut transaction, now, &expansion, chunk, reason_to_skip).await?
        };
        transaction.commit().await?;
        Ok(Some(worked))
    }

    /// Whether a batch has anything to do: now, or when some of its runs are over.
    ///
    /// # Errors
    /// The database's.
    pub async fn has_batch_to_process(&self) -> Result<bool, Error> {
        Ok(sqlx::query_scalar("select exists (select 1 from batch_expansion)").fetch_one(&self.pool).await?)
    }
}

/// Two statements: the second one sees what whoever had the lock before has done.
async fn claim(connection: &mut Connection, chunk: ChunkLimits) -> Result<Option<Expansion>, sqlx::Error> {
    let claimed: Option<(BatchId, String, Option<DateTime<Utc>>)> = sqlx::query_as(
        "select batch_expansion.batch_id, batch_expansion.cursor, batch_expansion.tenants_created_until
           from batch_expansion
           join batch on batch.id = batch_expansion.batch_id
          where batch.cancel_requested_at is not null or batch.runs_created - batch.runs_ended < $1
          order by batch_expansion.fairness_rank, batch_expansion.last_chunk_at
          limit 1
            for update of batch_expansion skip locked",
    )
    .bind(chunk.live)
    .fetch_optional(&mut *connection)
    .await?;
    let Some((id, cursor, created_until)) = claimed else { return Ok(None) };
    let row = sqlx::query(
        "select organization_id, visible_tenants, flag_at_acceptance, strategy, dry_run, max_attempts, caller, created_at,
                cancel_requested_at, overridden_guards, override_reason
           from batch
          where id = $1",
    )
    .bind(id)
    .fetch_one(connection)
    .await?;
    let only: Option<Vec<String>> = row.try_get("visible_tenants")?;
    let only = only.map(|only| only.iter().map(|id| TenantId::parse(id)).collect::<Result<_, _>>()).transpose();
    let target = BatchTarget {
        organization: optional_id(&row, "organization_id", OrganizationId::parse)?,
        visible_tenants: only.map_err(|error| decode("visible_tenants", error))?,
    };
    Ok(Some(Expansion {
        id,
        cursor,
        target,
        created_until,
        flag_at_acceptance: row.try_get::<Json<_>, _>("flag_at_acceptance")?.0,
        kind: RunKind { strategy: text(&row, "strategy", Strategy::from_text)?, dry_run: row.try_get("dry_run")? },
        max_attempts: row.try_get("max_attempts")?,
        caller: row.try_get("caller")?,
        options: options(&row)?,
        created_at: row.try_get("created_at")?,
        is_cancelled: row.try_get::<Option<DateTime<Utc>>, _>("cancel_requested_at")?.is_some(),
    }))
}

/// Ends a batch's turn: the next one is in the next round of those batches that have something to do now, or later where its caller has
/// many. One that had to wait for its runs does not make up for the rounds that it missed.
pub(in crate::store) async fn end_chunk(
    connection: &mut Connection,
    now: StatementTime,
    batch: BatchId,
    chunk: ChunkLimits,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "with round as materialized (
             select ended.fairness_rank, next.fairness_rank as next_fairness_rank, batch.cancel_requested_at is not null as cancelling
               from batch_expansion ended
               join batch on batch.id = ended.batch_id
               -- The next batch that has something to do: it is in the round that is under way.
               left join lateral (select other.fairness_rank
                                    from batch_expansion other
                                    join batch on batch.id = other.batch_id
                                   where other.batch_id <> $1
                                     and (batch.cancel_requested_at is not null or batch.runs_created - batch.runs_ended < $3)
                                   order by other.fairness_rank
                                   limit 1) next on true
              where ended.batch_id = $1
         )
         update batch_expansion
            set cancelling = round.cancelling,
                last_chunk_at = case when round.cancelling and not batch_expansion.cancelling then '-infinity' else coalesce($2, now()) end,
                fairness_rank = greatest(round.next_fairness_rank,
                                round.fairness_rank
                                -- One that was cancelled during its turn goes on in this round.
                                + case when round.cancelling and not batch_expansion.cancelling then 0
                                       else (select (count(*) + $4 - 1) / $4
                                               from batch_expansion own
                                              where own.caller = batch_expansion.caller and own.cancelling = batch_expansion.cancelling) end)
           from round
          where batch_id = $1",
    )
    .bind(batch)
    .bind(now)
    .bind(chunk.live)
    .bind(BATCHES_PER_CALLER_PER_ROUND)
    .execute(connection)
    .await?;
    Ok(())
}

/// What its runs are asked for: the guards that are overridden for them, and why.
fn options(row: &PgRow) -> Result<RunOptions, sqlx::Error> {
    let names: Vec<String> = row.try_get("overridden_guards")?;
    let override_guards: BTreeSet<GuardRule> = names.iter().filter_map(|name| GuardRule::from_text(name)).collect();
    let reason = if override_guards.is_empty() { None } else { Some(row.try_get("override_reason")?) };
    Ok(RunOptions { overridden_guards: override_guards, override_reason: reason, ..RunOptions::default() })
}

/// Notes that nothing is left to do. Not where the batch was cancelled meanwhile: then there is. One that was cancelled when all its runs
/// were made may be over already, by the end of the last.
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
