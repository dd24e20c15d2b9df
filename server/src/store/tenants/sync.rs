//! The sync state of tenants, as runs have observed it and operators have decided about it.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, Row, postgres::PgRow, types::Json};

use crate::{
    domain::{
        ConflictHistory, Decision, DecisionRecord, DecisionState, DriftCause, LocationId, OrganizationId, RunFilter,
        RunId, RunStamp, SyncFilter, TenantId, TenantSync,
    },
    error::Error,
    store::{
        handle::Store,
        row::{id, optional_id, text},
    },
};

/// The columns of `tenant_sync` that [`SyncRow`] reads.
macro_rules! sync_columns {
    () => {
        "tenant_id, organization_id, gbp_location, cause, cause_at, observed_at, observed_run_id, observe_failed_at, observe_failed_run_id, desired, google,
                baseline, written, unresolved, overwritten_at, conflict_at, decision, decided_by, decided_at, decision_reason,
                decision_run_id, decision_state, decision_run_reason"
    };
}
pub(super) use sync_columns;

impl Store {
    /// Gets the sync state of a tenant. `None`: no run has observed its location yet.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn tenant_sync(&self, tenant: &TenantId) -> Result<Option<TenantSync>, Error> {
        let row =
            sqlx::query_as::<_, SyncRow>(concat!("select ", sync_columns!(), " from tenant_sync where tenant_id = $1"))
                .bind(tenant.as_str())
                .fetch_optional(&self.pool)
                .await?;
        Ok(row.map(|row| row.0))
    }

    /// Gets when a real run of a tenant, of whichever strategy, last succeeded at the location that the tenant has now.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn last_success(&self, tenant: &TenantId) -> Result<Option<DateTime<Utc>>, Error> {
        let success = sqlx::query_scalar(
            "select max(last_success.ended_at)
               from last_success
               join tenant on tenant.id = last_success.tenant_id
                          and last_success.gbp_location is not distinct from tenant.gbp_location
              where last_success.tenant_id = $1",
        )
        .bind(tenant.as_str())
        .fetch_one(&self.pool)
        .await?;
        Ok(success)
    }

    /// Lists the sync states of up to `limit` tenants by id, after `after`.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn tenant_syncs(&self, filter: &SyncFilter, after: &str, limit: i64) -> Result<Vec<TenantSync>, Error> {
        let organization = filter.organization.as_ref().map(OrganizationId::as_str);
        let goes_by_tenant = filter.in_conflict || filter.visible_tenants.is_some();
        let rows = if goes_by_tenant || (filter.causes.is_empty() && organization.is_none()) {
            self.by_tenant(filter, organization, after, limit).await?
        } else {
            self.by_cause(filter, organization, after, limit).await?
        };
        Ok(rows.into_iter().map(|row| row.0).collect())
    }

    async fn by_tenant(
        &self,
        filter: &SyncFilter,
        organization: Option<&str>,
        after: &str,
        limit: i64,
    ) -> Result<Vec<SyncRow>, sqlx::Error> {
        let visible_tenants = filter
            .visible_tenants
            .as_ref()
            .map(|visible_tenants| visible_tenants.iter().map(TenantId::as_str).collect::<Vec<_>>());
        sqlx::query_as(concat!(
            "select ",
            sync_columns!(),
            " from tenant_sync
              where tenant_id > $1
                and ($2::text[] is null or tenant_id = any ($2))
                and (not $3 or conflict_at is not null)
                and (cardinality($4::text[]) = 0 or cause = any ($4))
                and ($5::text is null or organization_id = $5)
              order by tenant_id
              limit $6"
        ))
        .bind(after)
        .bind(visible_tenants)
        .bind(filter.in_conflict)
        .bind(texts(&filter.causes))
        .bind(organization)
        .bind(limit)
        // Planned for these very values, so that the planner sees whether the index of those in conflict has all that is wanted.
        .persistent(false)
        .fetch_all(&self.pool)
        .await
    }

    /// Reads the first entries of each cause's index: no more of each than the page has.
    async fn by_cause(
        &self,
        filter: &SyncFilter,
        organization: Option<&str>,
        after: &str,
        limit: i64,
    ) -> Result<Vec<SyncRow>, sqlx::Error> {
        let causes = if filter.causes.is_empty() { DriftCause::ALL } else { &filter.causes };
        sqlx::query_as(concat!(
            "select ",
            sync_columns!(),
            "
               from unnest($1::text[]) as wanted (sought)
              cross join lateral (select ",
            sync_columns!(),
            " from tenant_sync
                                   where cause = wanted.sought
                                     and tenant_id > $2
                                     and ($3::text is null or organization_id = $3)
                                   order by tenant_id
                                   limit $4) as found
              order by tenant_id
              limit $4"
        ))
        .bind(texts(causes))
        .bind(after)
        .bind(organization)
        .bind(limit)
        .persistent(false)
        .fetch_all(&self.pool)
        .await
    }

    /// Counts the tenants that are out of sync, by cause. Reads only these.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn out_of_sync(&self, filter: &SyncFilter) -> Result<Vec<(DriftCause, i64)>, Error> {
        let visible_tenants = filter
            .visible_tenants
            .as_ref()
            .map(|visible_tenants| visible_tenants.iter().map(TenantId::as_str).collect::<Vec<_>>());
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "select cause, count(*) from tenant_sync
              where cause = any ($1)
                and ($2::text is null or organization_id = $2)
                and ($3::text[] is null or tenant_id = any ($3))
              group by cause",
        )
        .bind(texts(DriftCause::OUT_OF_SYNC))
        .bind(filter.organization.as_ref().map(OrganizationId::as_str))
        .bind(visible_tenants)
        .persistent(false)
        .fetch_all(&self.pool)
        .await?;
        let count =
            |cause: &DriftCause| rows.iter().find(|(text, _)| text == cause.as_str()).map_or(0, |(_, count)| *count);
        Ok(DriftCause::OUT_OF_SYNC.iter().map(|cause| (*cause, count(cause))).collect())
    }

    /// Counts the tenants of `filter` that are out of sync.
    pub(in crate::store) async fn out_of_sync_tenants(&self, filter: &RunFilter) -> Result<i64, Error> {
        let visible_tenants =
            filter.tenant.clone().map(|tenant| vec![tenant]).or_else(|| filter.visible_tenants.clone());
        let wanted = SyncFilter { organization: filter.organization.clone(), visible_tenants, ..SyncFilter::default() };
        Ok(self.out_of_sync(&wanted).await?.iter().map(|(_, tenants)| tenants).sum())
    }
}

fn texts(causes: &[DriftCause]) -> Vec<&'static str> {
    causes.iter().map(|cause| cause.as_str()).collect()
}

/// A row of `tenant_sync`.
pub(super) struct SyncRow(pub(super) TenantSync);

impl FromRow<'_, PgRow> for SyncRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let by = |run: &str, at: &str| -> Result<Option<RunStamp>, sqlx::Error> {
            let run: Option<RunId> = row.try_get(run)?;
            Ok(run.zip(row.try_get(at)?).map(|(run, at)| RunStamp { run, at }))
        };
        Ok(Self(TenantSync {
            tenant: id(row, "tenant_id", TenantId::parse)?,
            organization: optional_id(row, "organization_id", OrganizationId::parse)?,
            location: optional_id(row, "gbp_location", LocationId::parse)?,
            cause: text(row, "cause", DriftCause::from_text)?,
            cause_at: row.try_get("cause_at")?,
            observed: by("observed_run_id", "observed_at")?,
            observe_failed: by("observe_failed_run_id", "observe_failed_at")?,
            desired: row.try_get::<Option<Json<_>>, _>("desired")?.map(|json| json.0),
            google: row.try_get::<Option<Json<_>>, _>("google")?.map(|json| json.0),
            baseline: row.try_get::<Option<Json<_>>, _>("baseline")?.map(|json| json.0),
            written: row.try_get::<Option<Json<_>>, _>("written")?.map(|json| json.0),
            unresolved: row.try_get::<Option<Json<_>>, _>("unresolved")?.map(|json| json.0),
            conflicts: ConflictHistory {
                overwritten_at: row.try_get("overwritten_at")?,
                conflict_at: row.try_get("conflict_at")?,
                decided: decided(row)?,
            },
            last_success_at: None,
        }))
    }
}

fn decided(row: &PgRow) -> Result<Option<DecisionRecord>, sqlx::Error> {
    if row.try_get::<Option<&str>, _>("decision")?.is_none() {
        return Ok(None);
    }
    Ok(Some(DecisionRecord {
        decision: text(row, "decision", Decision::from_text)?,
        caller: row.try_get("decided_by")?,
        at: row.try_get("decided_at")?,
        reason: row.try_get("decision_reason")?,
        run: row.try_get("decision_run_id")?,
        state: match row.try_get::<Option<&str>, _>("decision_state")? {
            Some(_) => text(row, "decision_state", DecisionState::from_text)?,
            None => DecisionState::Executed,
        },
        run_reason: row.try_get("decision_run_reason")?,
    }))
}
