//! The expansion of batches: creating their runs, or cancelling them, one chunk at a time.
//!
//! A chunk is one transaction. The row of `batch_expansion` is locked first and skipped by other servers; the row of `batch` last, because
//! a statement that ends a run locks the run first and counts it there afterwards.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sqlx::{Row, postgres::PgRow, types::Json};

use super::{
    cancel::cancel,
    chunk::{ChunkLimits, ChunkResult, Expansion},
    runs::expand,
    target::BatchTarget,
};
use crate::{
    domain::{BatchId, GuardRule, OrganizationId, RunKind, RunOptions, Skip, Strategy, TenantId},
    error::Error,
    store::{
        connections::Connection,
        handle::Store,
        row::{decode, optional_id, text},
        statement::StatementTime,
    },
};

impl Store {
    /// Processes a chunk of the batch whose turn it is: creates the runs of its next tenants, or cancels runs.
    /// `reason_to_skip` is called for each tenant. `None`: no batch has anything to do now, or another server is at it.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`]; nothing is changed.
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

    /// Returns whether a batch has anything to do: now, or once some of its runs have ended.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn has_batch_to_process(&self) -> Result<bool, Error> {
        Ok(sqlx::query_scalar("select exists (select 1 from batch_expansion)").fetch_one(&self.pool).await?)
    }
}

/// Claims the next chunk, in two statements: the second one sees the changes of the previous lock holder.
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

/// Returns the options of its runs: the overridden guards, and the reason.
fn options(row: &PgRow) -> Result<RunOptions, sqlx::Error> {
    let names: Vec<String> = row.try_get("overridden_guards")?;
    let override_guards: BTreeSet<GuardRule> = names.iter().filter_map(|name| GuardRule::from_text(name)).collect();
    let reason = if override_guards.is_empty() { None } else { Some(row.try_get("override_reason")?) };
    Ok(RunOptions { overridden_guards: override_guards, override_reason: reason, ..RunOptions::default() })
}
