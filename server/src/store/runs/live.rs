//! Reads for streams: live runs, and the ids of runs that may have changed while wake-ups were lost.

use chrono::{DateTime, Utc};

use crate::{
    domain::{BatchId, OrganizationId, Run, RunId, TenantId},
    error::Error,
    store::{
        handle::Store,
        row::{RunRow, run_columns},
        statement::StatementTime,
    },
};

/// A filter of live runs. Each field that is set is one more condition.
#[derive(Debug, Clone, Default)]
pub struct LiveFilter {
    /// Only these tenants'.
    pub tenants: Option<Vec<TenantId>>,
    /// Only this organization's.
    pub organization: Option<OrganizationId>,
    /// Only this batch's.
    pub batch: Option<BatchId>,
}

impl Store {
    /// Lists live runs, whole, oldest first, younger than `after`, at most `limit`.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn live_runs(&self, filter: &LiveFilter, after: RunId, limit: i64) -> Result<Vec<Run>, Error> {
        let tenants = filter.tenants.as_ref().map(|tenants| tenants.iter().map(TenantId::as_str).collect::<Vec<_>>());
        let rows = sqlx::query_as::<_, RunRow>(concat!(
            "select ",
            run_columns!(),
            ", next_attempt_at from run
              where id > $1
                and ($2::text[] is null or tenant_id = any ($2))
                and ($3::text is null or organization_id = $3)
                and ($5::uuid is null or batch_id = $5)
              order by id
              limit $4"
        ))
        .bind(after)
        .bind(tenants)
        .bind(filter.organization.as_ref().map(OrganizationId::as_str))
        .bind(limit)
        .bind(filter.batch)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| row.0).collect())
    }

    /// Returns the time of statements: `now`, or the database's clock.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn time(&self, now: StatementTime) -> Result<DateTime<Utc>, Error> {
        let (time,) = sqlx::query_as("select coalesce($1, now())").bind(now).fetch_one(&self.pool).await?;
        Ok(time)
    }

    /// Gets id and revision of every run that may have changed: it ended after `ended_after`, is younger than `new_after` and
    /// live, or is running or delayed. A run that went back into the ready queue is in none of these; a caller that saw
    /// it leave the ready queue asks for it with [`Store::revisions`].
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn changed_runs(&self, ended_after: DateTime<Utc>, new_after: RunId) -> Result<Vec<(RunId, i64)>, Error> {
        Ok(sqlx::query_as(
            "select id, revision from run where state = 'running'
             union
             select id, revision from run where state = 'queued' and next_attempt_at is not null
             union
             select id, revision from run where id > $2
             union
             select id, revision from run_history where ended_at > $1",
        )
        .bind(ended_after)
        .bind(new_after)
        .fetch_all(&self.pool)
        .await?)
    }

    /// Gets id and revision of a batch's runs that ended after `ended_after`.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn ended_of_batch(&self, batch: BatchId, ended_after: DateTime<Utc>) -> Result<Vec<(RunId, i64)>, Error> {
        let rows = sqlx::query_as("select id, revision from run_history where batch_id = $1 and ended_at > $2");
        Ok(rows.bind(batch).bind(ended_after).fetch_all(&self.pool).await?)
    }

    /// Gets id and revision of those of these runs that exist.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn revisions(&self, ids: &[RunId]) -> Result<Vec<(RunId, i64)>, Error> {
        Ok(sqlx::query_as("select id, revision from all_runs where id = any ($1)")
            .bind(ids)
            .fetch_all(&self.pool)
            .await?)
    }
}
