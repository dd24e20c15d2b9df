//! Reading batches.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, Row, postgres::PgRow, types::Json};

use super::{
    BatchTarget, Store,
    row::{decode, optional_id, text},
};
use crate::{
    domain::{
        Batch, BatchChanges, BatchCounts, BatchId, BatchRule, BatchState, BatchVerdict, OrganizationId, RunKind,
        Strategy, TenantId,
    },
    error::Error,
};

/// The columns of `batch` that a batch is read from.
macro_rules! batch_columns {
    () => {
        "id, organization_id, only_tenants, strategy, dry_run, tenants, without_location, not_admitted, change_limit, primary_limit,
                    overrides, stopped, failure_reasons, override_limit, overriding, changing, changing_primary, made, succeeded, failed, skipped, joined, cancelled, over, out_of_sync,
                    out_of_primary, created, updated, deleted, unmapped, caller, request_id, reason, created_at, cancel_requested_at,
                    expanded_at, ended_at"
    };
}
pub(super) use batch_columns;

impl Store {
    /// Gets a batch. Its counts are one moment's.
    ///
    /// # Errors
    /// The database's.
    pub async fn batch(&self, batch: BatchId) -> Result<Option<Batch>, Error> {
        let row = sqlx::query_as::<_, BatchRow>(concat!(
            "select ",
            batch_columns!(),
            ", (select count(*) from run where batch_id = batch.id and state = 'running') as running
               from batch
              where id = $1"
        ))
        .bind(batch);
        Ok(row.fetch_optional(&self.pool).await?.map(|row| row.0))
    }

    /// Gets the newest dry batch of a target and strategy of which every run has ended, for the same tenants as the caller may see.
    ///
    /// # Errors
    /// The database's.
    pub async fn last_dry_batch(&self, target: &BatchTarget, strategy: Strategy) -> Result<Option<Batch>, Error> {
        let row = sqlx::query_as::<_, BatchRow>(concat!(
            "select ",
            batch_columns!(),
            ", 0::bigint as running
               from batch
              where dry_run and strategy = $1
                and organization_id is not distinct from $2
                and only_tenants is not distinct from $3
                and ended_at is not null and cancel_requested_at is null
              order by id desc
              limit 1"
        ))
        .bind(strategy.as_str())
        .bind(target.organization())
        .bind(target.only());
        Ok(row.fetch_optional(&self.pool).await?.map(|row| row.0))
    }

    /// Lists batches, newest first, older than `before`, at most `limit`; `only` limits them to those that were made for some of these
    /// tenants and no others.
    ///
    /// # Errors
    /// The database's.
    pub async fn batches(
        &self,
        only: Option<&[TenantId]>,
        before: Option<BatchId>,
        limit: i64,
    ) -> Result<Vec<Batch>, Error> {
        let rows = sqlx::query_as::<_, BatchRow>(concat!(
            "select ",
            batch_columns!(),
            ", (select count(*) from run where batch_id = batch.id and state = 'running') as running
               from batch
              where (id < $1 or $1::uuid is null)
                and ($2::text[] is null or only_tenants <@ $2)
              order by id desc
              limit $3"
        ))
        .bind(before)
        .bind(only.map(|only| only.iter().map(TenantId::as_str).collect::<Vec<_>>()))
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| row.0).collect())
    }
}

/// A row of `batch`, and how many of its runs are running.
pub(super) struct BatchRow(pub(super) Batch);

impl FromRow<'_, PgRow> for BatchRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let number = |column: &str| row.try_get::<i64, _>(column);
        let only: Option<Vec<String>> = row.try_get("only_tenants")?;
        let only = only.map(|only| only.iter().map(|id| TenantId::parse(id)).collect::<Result<_, _>>());
        let is_expanded = row.try_get::<Option<DateTime<Utc>>, _>("expanded_at")?.is_some();
        let is_cancelled = row.try_get::<Option<DateTime<Utc>>, _>("cancel_requested_at")?.is_some();
        let ended_at: Option<DateTime<Utc>> = row.try_get("ended_at")?;
        let (tenants, made, running) = (number("tenants")?, number("made")?, number("running")?);
        let unmade = tenants - made;
        let [pending, gone, never] = match (is_expanded, is_cancelled) {
            (false, _) => [unmade, 0, 0],
            (true, false) => [0, unmade, 0],
            (true, true) => [0, 0, unmade],
        };
        let verdict = |rule, value, let_through, limit| -> Result<BatchVerdict, sqlx::Error> {
            let (value, let_through) = (number(value)?, number(let_through)?);
            Ok(BatchVerdict { rule, value, let_through, limit: row.try_get(limit)? })
        };
        Ok(Self(Batch {
            id: row.try_get("id")?,
            organization: optional_id(row, "organization_id", OrganizationId::parse)?,
            only: only.transpose().map_err(|error| decode("only_tenants", error))?,
            kind: RunKind { strategy: text(row, "strategy", Strategy::from_text)?, dry_run: row.try_get("dry_run")? },
            state: match (is_cancelled, ended_at.is_some(), is_expanded) {
                (true, true, _) => BatchState::Cancelled,
                (true, false, _) => BatchState::Cancelling,
                (false, true, _) => BatchState::Completed,
                (false, false, true) => BatchState::Running,
                (false, false, false) => BatchState::Expanding,
            },
            tenants,
            without_location: number("without_location")?,
            not_admitted: number("not_admitted")?,
            counts: BatchCounts {
                pending,
                queued: made - number("over")? - running,
                running,
                succeeded: number("succeeded")?,
                failed: number("failed")?,
                skipped: number("skipped")? + gone,
                joined: number("joined")?,
                cancelled: number("cancelled")? + never,
            },
            out_of_sync: number("out_of_sync")?,
            changes: BatchChanges {
                created: number("created")?,
                updated: number("updated")?,
                deleted: number("deleted")?,
                unmapped: number("unmapped")?,
            },
            verdicts: vec![
                verdict(BatchRule::Tenants, "out_of_sync", "changing", "change_limit")?,
                verdict(BatchRule::Primary, "out_of_primary", "changing_primary", "primary_limit")?,
            ],
            stopped: row.try_get::<Json<_>, _>("stopped")?.0,
            failure_reasons: row.try_get::<Json<_>, _>("failure_reasons")?.0,
            overrides: row.try_get("overrides")?,
            override_limit: row.try_get("override_limit")?,
            overriding: number("overriding")?,
            reason: row.try_get("reason")?,
            caller: row.try_get("caller")?,
            request_id: row.try_get("request_id")?,
            created_at: row.try_get("created_at")?,
            ended_at,
        }))
    }
}
