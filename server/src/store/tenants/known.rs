//! Whether the tenants and organizations of a request exist.

use crate::{
    domain::{OrganizationId, TenantId},
    error::Error,
    store::handle::Store,
};

impl Store {
    /// Returns whether a tenant exists, or has runs: these outlive it.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`].
    pub async fn is_known_tenant(&self, tenant: &TenantId) -> Result<bool, Error> {
        let known = sqlx::query_scalar(
            "select exists (select from tenant where id = $1)
                 or exists (select from run where tenant_id = $1)
                 or exists (select from run_history where tenant_id = $1)",
        );
        // Over the connections for what reads every day of the history.
        Ok(known.bind(tenant.as_str()).fetch_one(&self.history_pool).await?)
    }

    /// Returns whether an organization has tenants, or runs: these outlive its tenants. Where `visible_tenants` is given, of those tenants.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`].
    pub async fn is_known_organization(
        &self,
        organization: &OrganizationId,
        visible_tenants: Option<&[TenantId]>,
    ) -> Result<bool, Error> {
        let known = sqlx::query_scalar(
            "select exists (select from tenant where organization_id = $1 and ($2::text[] is null or id = any ($2)))
                 or exists (select from run where organization_id = $1 and ($2::text[] is null or tenant_id = any ($2)))
                 or exists (select from run_history where organization_id = $1 and ($2::text[] is null or tenant_id = any ($2)))",
        );
        let visible_tenants =
            visible_tenants.map(|visible_tenants| visible_tenants.iter().map(TenantId::as_str).collect::<Vec<_>>());
        Ok(known.bind(organization.as_str()).bind(visible_tenants).fetch_one(&self.history_pool).await?)
    }

    /// Returns those of `tenants` that do not exist, in their order.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`].
    pub async fn unknown_tenants(&self, tenants: &[&TenantId]) -> Result<Vec<String>, Error> {
        if tenants.is_empty() {
            return Ok(Vec::new());
        }
        let unknown = sqlx::query_scalar(
            "select id from unnest($1::text[]) with ordinality as listed (id, place)
              where not exists (select from tenant where tenant.id = listed.id)
              order by place",
        );
        let ids: Vec<&str> = tenants.iter().map(|tenant| tenant.as_str()).collect();
        Ok(unknown.bind(ids).fetch_all(&self.pool).await?)
    }

    /// Returns those of `organizations` that no tenant belongs to, in their order.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`].
    pub async fn unknown_organizations(&self, organizations: &[&OrganizationId]) -> Result<Vec<String>, Error> {
        if organizations.is_empty() {
            return Ok(Vec::new());
        }
        let unknown = sqlx::query_scalar(
            "select id from unnest($1::text[]) with ordinality as listed (id, place)
              where not exists (select from tenant where tenant.organization_id = listed.id)
              order by place",
        );
        let ids: Vec<&str> = organizations.iter().map(|organization| organization.as_str()).collect();
        Ok(unknown.bind(ids).fetch_all(&self.pool).await?)
    }
}
