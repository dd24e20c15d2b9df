//! Reading runs.

use super::{Store, row::RunRow};
use crate::{
    domain::{Run, RunId, Strategy, TenantId},
    error::Error,
};

/// Which runs to list.
#[derive(Debug, Clone, Default)]
pub struct LogFilter {
    /// Only this tenant's.
    pub tenant: Option<TenantId>,
    /// Only of this strategy.
    pub strategy: Option<Strategy>,
    /// Only of these tenants: what the caller may see.
    pub only: Option<Vec<TenantId>>,
}

impl LogFilter {
    fn tenants(&self) -> Option<Vec<&str>> {
        self.only.as_ref().map(|only| only.iter().map(TenantId::as_str).collect())
    }
}

/// A run without the parts that make it large.
macro_rules! light_run {
    () => {
        "select id, tenant_id, organization_id, strategy, dry_run, state, revision, attempt, handed_back, max_attempts, due_at,
                cancel_requested, null::jsonb as plan, '[]'::jsonb as written, created, updated, deleted, skipped, reason, error,
                caller, request_id, created_at, started_at, ended_at
           from run "
    };
}
pub(super) use light_run;

impl Store {
    /// Gets a run, whole.
    ///
    /// # Errors
    /// The database's.
    pub async fn run(&self, run: RunId) -> Result<Option<Run>, Error> {
        let row = sqlx::query_as::<_, RunRow>("select * from run where id = $1").bind(run);
        Ok(row.fetch_optional(&self.pool).await?.map(|row| row.0))
    }

    /// Gets those of these runs that are `filter`'s tenants', whole, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn runs(&self, filter: &LogFilter, ids: &[RunId]) -> Result<Vec<Run>, Error> {
        let rows = sqlx::query_as::<_, RunRow>(
            "select * from run
              where id = any ($1)
                and ($2::text is null or tenant_id = $2)
                and ($3::text[] is null or tenant_id = any ($3))
              order by id",
        )
        .bind(ids)
        .bind(filter.tenant.as_ref().map(TenantId::as_str))
        .bind(filter.tenants())
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| row.0).collect())
    }

    /// Gets the newest run of a tenant and strategy, whole.
    ///
    /// # Errors
    /// The database's.
    pub async fn last_run(&self, tenant: &TenantId, strategy: Strategy) -> Result<Option<Run>, Error> {
        let row = sqlx::query_as::<_, RunRow>(
            "select * from run where tenant_id = $1 and strategy = $2 order by id desc limit 1",
        )
        .bind(tenant.as_str())
        .bind(strategy.as_str());
        Ok(row.fetch_optional(&self.pool).await?.map(|row| row.0))
    }

    /// Lists runs, newest first, older than `before`, at most `limit`, without plans and written changes.
    ///
    /// # Errors
    /// The database's.
    pub async fn logs(&self, filter: &LogFilter, before: Option<RunId>, limit: i64) -> Result<Vec<Run>, Error> {
        let rows = sqlx::query_as::<_, RunRow>(concat!(
            light_run!(),
            "where ($1::uuid is null or id < $1)
               and ($2::text is null or tenant_id = $2)
               and ($3::text is null or strategy = $3)
               and ($4::text[] is null or tenant_id = any ($4))
             order by id desc
             limit $5"
        ))
        .bind(before)
        .bind(filter.tenant.as_ref().map(TenantId::as_str))
        .bind(filter.strategy.map(Strategy::as_str))
        .bind(filter.tenants())
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| row.0).collect())
    }
}
