//! Reads of batches.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, Row, postgres::PgRow, types::Json};

use super::target::BatchTarget;
use crate::{
    domain::{
        Batch, BatchChanges, BatchCounts, BatchGuardRule, BatchGuardVerdict, BatchId, BatchState, OrganizationId,
        RunKind, Strategy, TenantId,
    },
    error::Error,
    store::{
        handle::Store,
        row::{decode, optional_id, text},
    },
};

/// The columns of `batch` that a batch is read from.
macro_rules! batch_columns {
    () => {
        "id, organization_id, visible_tenants, strategy, dry_run, tenants, without_location, disabled, max_changes, max_primary_changes,
                    overridden_guards, stopped, failure_reason_counts, max_overrides, overrides_reserved, changes_reserved, primary_changes_reserved, runs_created, succeeded, failed, skipped, joined, cancelled, runs_ended, out_of_sync,
                    primary_changes, created, updated, deleted, unmapped, caller, request_id, override_reason, created_at, cancel_requested_at,
                    expanded_at, ended_at"
    };
}
pub(in crate::store) use batch_columns;

impl Store {
    /// Gets a batch, with counts of one snapshot.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
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

    /// Gets the newest dry batch of a target and strategy whose runs have all ended, if it was for the tenants that the caller may see.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn last_dry_batch(&self, target: &BatchTarget, strategy: Strategy) -> Result<Option<Batch>, Error> {
        let row = sqlx::query_as::<_, BatchRow>(concat!(
            "select ",
            batch_columns!(),
            ", 0::bigint as running
               from batch
              where dry_run and strategy = $1
                and organization_id is not distinct from $2
                and visible_tenants is not distinct from $3
                and ended_at is not null and cancel_requested_at is null
              order by id desc
              limit 1"
        ))
        .bind(strategy.as_str())
        .bind(target.organization())
        .bind(target.visible_tenants());
        Ok(row.fetch_optional(&self.pool).await?.map(|row| row.0))
    }

    /// Lists batches, newest first, older than `before`, at most `limit`; `only` limits them to those that were made for some of these
    /// tenants and no others.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
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
                and ($2::text[] is null or visible_tenants <@ $2)
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
pub(in crate::store) struct BatchRow(pub(in crate::store) Batch);

impl FromRow<'_, PgRow> for BatchRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let number = |column: &str| row.try_get::<i64, _>(column);
        let only: Option<Vec<String>> = row.try_get("visible_tenants")?;
        let only = only.map(|only| only.iter().map(|id| TenantId::parse(id)).collect::<Result<_, _>>());
        let is_expanded = row.try_get::<Option<DateTime<Utc>>, _>("expanded_at")?.is_some();
        let is_cancelled = row.try_get::<Option<DateTime<Utc>>, _>("cancel_requested_at")?.is_some();
        let ended_at: Option<DateTime<Utc>> = row.try_get("ended_at")?;
        let (tenants, made, running) = (number("tenants")?, number("runs_created")?, number("running")?);
        let unmade = tenants - made;
        let [pending, gone, never] = match (is_expanded, is_cancelled) {
            (false, _) => [unmade, 0, 0],
            (true, false) => [0, unmade, 0],
            (true, true) => [0, 0, unmade],
        };
        let verdict = |rule, value, reserved, limit| -> Result<BatchGuardVerdict, sqlx::Error> {
            let (value, reserved) = (number(value)?, number(reserved)?);
            Ok(BatchGuardVerdict { rule, value, reserved, limit: row.try_get(limit)? })
        };
        Ok(Self(Batch {
            id: row.try_get("id")?,
            organization: optional_id(row, "organization_id", OrganizationId::parse)?,
            visible_tenants: only.transpose().map_err(|error| decode("visible_tenants", error))?,
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
            disabled: number("disabled")?,
            counts: BatchCounts {
                pending,
                queued: made - number("runs_ended")? - running,
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
                verdict(BatchGuardRule::Tenants, "out_of_sync", "changes_reserved", "max_changes")?,
                verdict(BatchGuardRule::Primary, "primary_changes", "primary_changes_reserved", "max_primary_changes")?,
            ],
            stopped: row.try_get::<Json<_>, _>("stopped")?.0,
            failure_reason_counts: row.try_get::<Json<_>, _>("failure_reason_counts")?.0,
            overridden_guards: row.try_get("overridden_guards")?,
            max_overrides: row.try_get("max_overrides")?,
            overrides_reserved: number("overrides_reserved")?,
            override_reason: row.try_get("override_reason")?,
            caller: row.try_get("caller")?,
            request_id: row.try_get("request_id")?,
            created_at: row.try_get("created_at")?,
            ended_at,
        }))
    }
}
