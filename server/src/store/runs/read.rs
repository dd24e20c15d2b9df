//! Reads of runs by their ids, and of the newest run of a tenant.

use super::live_run::live_run;
use crate::{
    domain::{Run, RunFilter, RunId, Strategy, TenantId},
    error::Error,
    store::{
        handle::Store,
        row::{RunRow, run_columns},
    },
};

impl Store {
    /// Gets a run, whole.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn run(&self, run: RunId) -> Result<Option<Run>, Error> {
        let row = sqlx::query_as::<_, RunRow>(concat!(
            "select ",
            run_columns!(),
            ", next_attempt_at, ended_at from all_runs where id = $1"
        ))
        .bind(run);
        Ok(row.fetch_optional(&self.pool).await?.map(|row| row.0))
    }

    /// Gets those of these runs that are `filter`'s tenants', whole, oldest first.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn runs(&self, filter: &RunFilter, ids: &[RunId]) -> Result<Vec<Run>, Error> {
        let rows = sqlx::query_as::<_, RunRow>(concat!(
            "select ",
            run_columns!(),
            ", next_attempt_at, ended_at from all_runs
              where id = any ($1)
                and ($2::text is null or tenant_id = $2)
                and ($3::text[] is null or tenant_id = any ($3))
                and ($4::uuid is null or batch_id = $4)
              order by id"
        ))
        .bind(ids)
        .bind(filter.tenant.as_ref().map(TenantId::as_str))
        .bind(visible_tenants(filter))
        .bind(filter.batch)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| row.0).collect())
    }

    /// Gets the newest run of a tenant and strategy, whole.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn last_run(&self, tenant: &TenantId, strategy: Strategy) -> Result<Option<Run>, Error> {
        // In this order: a run that ends between the two reads is in the history by the second.
        let live = live_run(&mut self.pool.acquire().await?, tenant).await?;
        if let Some(live) = live.filter(|live| live.kind.strategy == strategy) {
            return Ok(Some(live));
        }
        let filter = RunFilter { tenant: Some(tenant.clone()), strategy: Some(strategy), ..RunFilter::default() };
        let mut before = None;
        loop {
            let found = self.logs(&filter, before, 1).await?;
            match (found.runs.first(), found.rest) {
                (Some(run), _) => return self.run(run.id).await,
                (None, None) => return Ok(None),
                (None, rest) => before = rest,
            }
        }
    }
}

fn visible_tenants(filter: &RunFilter) -> Option<Vec<&str>> {
    filter.visible_tenants.as_ref().map(|visible_tenants| visible_tenants.iter().map(TenantId::as_str).collect())
}
