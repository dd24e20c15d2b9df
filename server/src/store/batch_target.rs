//! Whose tenants a batch touches.

use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;

use super::{
    Now, Store,
    row::{id, optional_id},
};
use crate::{
    domain::{OrganizationId, TenantId},
    error::Error,
};

/// Whose tenants a batch is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchTarget {
    /// One organization's; `None` is everybody's.
    pub organization: Option<OrganizationId>,
    /// Only those that the caller may see; `None` is no limit.
    pub only: Option<Vec<TenantId>>,
}

/// How many tenants a target has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Population {
    /// In all.
    pub tenants: i64,
    /// Those with a location.
    pub located: i64,
    /// When they were counted. Tenants that come later are not part of it.
    pub at: DateTime<Utc>,
}

impl BatchTarget {
    pub(super) fn organization(&self) -> Option<&str> {
        self.organization.as_ref().map(OrganizationId::as_str)
    }

    pub(super) fn only(&self) -> Option<Vec<&str>> {
        self.only.as_ref().map(|only| only.iter().map(TenantId::as_str).collect())
    }
}

impl Store {
    /// Counts a target's tenants.
    ///
    /// # Errors
    /// The database's.
    pub async fn population(&self, now: Now, target: &BatchTarget) -> Result<Population, Error> {
        let (tenants, located, at) = sqlx::query_as(
            "select count(*), count(gbp_location), coalesce($1, now())
               from tenant
              where ($2::text is null or organization_id = $2)
                and ($3::text[] is null or id = any ($3))",
        )
        .bind(now)
        .bind(target.organization())
        .bind(target.only())
        .fetch_one(&self.pool)
        .await?;
        Ok(Population { tenants, located, at })
    }

    /// Lists a target's tenants that have a location, and the organization of each, by id, after `after`, at most `limit`.
    ///
    /// # Errors
    /// The database's.
    pub async fn located_tenants(
        &self,
        target: &BatchTarget,
        after: &str,
        limit: i64,
    ) -> Result<Vec<(TenantId, Option<OrganizationId>)>, Error> {
        let rows = sqlx::query(
            "select id, organization_id from tenant
              where id > $1 and gbp_location is not null
                and ($2::text is null or organization_id = $2)
                and ($3::text[] is null or id = any ($3))
              order by id
              limit $4",
        )
        .bind(after)
        .bind(target.organization())
        .bind(target.only())
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| tenant_and_organization(row).map_err(Error::from)).collect()
    }
}

/// A row with a tenant's id and its organization's.
pub(super) fn tenant_and_organization(row: &PgRow) -> Result<(TenantId, Option<OrganizationId>), sqlx::Error> {
    Ok((id(row, "id", TenantId::parse)?, optional_id(row, "organization_id", OrganizationId::parse)?))
}
