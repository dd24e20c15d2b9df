//! Reading runs.

use super::{Store, accept::live_run, row::RunRow};
use crate::{
    domain::{BatchId, Run, RunId, Strategy, TenantId},
    error::Error,
};

/// Which runs to list.
#[derive(Debug, Clone, Default)]
pub struct LogFilter {
    /// Only this tenant's.
    pub tenant: Option<TenantId>,
    /// Only this batch's.
    pub batch: Option<BatchId>,
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

/// A run without the parts that make it large, and without the times that only live or only ended ones have.
macro_rules! light_columns {
    () => {
        "id, tenant_id, organization_id, batch_id, strategy, dry_run, orders, state, revision, attempt, handed_back, max_attempts,
                cancel_requested, null::jsonb as plan, '[]'::jsonb as written, created, updated, deleted, skipped, reason, error,
                caller, request_id, created_at, started_at"
    };
}
pub(super) use light_columns;

/// Which runs a list holds, and that it begins with the newest.
macro_rules! listed {
    () => {
        "where ($1::uuid is null or id < $1)
                   and ($2::text is null or tenant_id = $2)
                   and ($3::text is null or strategy = $3)
                   and ($4::text[] is null or tenant_id = any ($4))
                   and ($6::uuid is null or batch_id = $6)
                 order by id desc
                 limit $5"
    };
}

impl Store {
    /// Gets a run, whole.
    ///
    /// # Errors
    /// The database's.
    pub async fn run(&self, run: RunId) -> Result<Option<Run>, Error> {
        let row = sqlx::query_as::<_, RunRow>("select * from every_run where id = $1").bind(run);
        Ok(row.fetch_optional(&self.pool).await?.map(|row| row.0))
    }

    /// Gets those of these runs that are `filter`'s tenants', whole, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn runs(&self, filter: &LogFilter, ids: &[RunId]) -> Result<Vec<Run>, Error> {
        let rows = sqlx::query_as::<_, RunRow>(
            "select * from every_run
              where id = any ($1)
                and ($2::text is null or tenant_id = $2)
                and ($3::text[] is null or tenant_id = any ($3))
                and ($4::uuid is null or batch_id = $4)
              order by id",
        )
        .bind(ids)
        .bind(filter.tenant.as_ref().map(TenantId::as_str))
        .bind(filter.tenants())
        .bind(filter.batch)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| row.0).collect())
    }

    /// Gets the newest run of a tenant and strategy, whole.
    ///
    /// # Errors
    /// The database's.
    pub async fn last_run(&self, tenant: &TenantId, strategy: Strategy) -> Result<Option<Run>, Error> {
        // In this order: one that ends between the two looks is in the history by the second.
        let live = live_run(&mut *self.pool.acquire().await?, tenant).await?;
        if let Some(live) = live.filter(|live| live.kind.strategy == strategy) {
            return Ok(Some(live));
        }
        let row = sqlx::query_as::<_, RunRow>(
            "select * from run_history where tenant_id = $1 and strategy = $2 order by id desc limit 1",
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
        // Each part with a limit of its own, so that of the history the newest partitions alone are read.
        let rows = sqlx::query_as::<_, RunRow>(concat!(
            "with live as (
                select ",
            light_columns!(),
            ", due_at, null::timestamptz as ended_at
                  from run ",
            listed!(),
            "
             ), ended as (
                select ",
            light_columns!(),
            ", null::timestamptz as due_at, ended_at
                  from run_history ",
            listed!(),
            "
             )
             select * from live
              union all
             select * from ended
              order by id desc
              limit $5"
        ))
        .bind(before)
        .bind(filter.tenant.as_ref().map(TenantId::as_str))
        .bind(filter.strategy.map(Strategy::as_str))
        .bind(filter.tenants())
        .bind(limit)
        .bind(filter.batch)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| row.0).collect())
    }
}
