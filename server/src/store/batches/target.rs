//! Request targets of batches, and their tenants.

use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;

use crate::{
    domain::{OrganizationId, TenantId},
    store::{
        connections::Connection,
        row::{id, optional_id},
        statement::StatementTime,
    },
};

/// The request target of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchTarget {
    /// One organization's; `None`: all tenants.
    pub organization: Option<OrganizationId>,
    /// Only the tenants that the caller may see; `None`: all of them.
    pub visible_tenants: Option<Vec<TenantId>>,
}

/// Counts of a target's tenants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct TargetCounts {
    /// All of them.
    pub(in crate::store) tenants: i64,
    /// Those with a location.
    pub(in crate::store) with_location: i64,
    /// When they were counted.
    pub(in crate::store) at: DateTime<Utc>,
    /// No tenant of the target was created later.
    pub(in crate::store) created_until: DateTime<Utc>,
}

impl BatchTarget {
    pub(in crate::store) fn organization(&self) -> Option<&str> {
        self.organization.as_ref().map(OrganizationId::as_str)
    }

    pub(in crate::store) fn visible_tenants(&self) -> Option<Vec<&str>> {
        self.visible_tenants.as_ref().map(|visible_tenants| visible_tenants.iter().map(TenantId::as_str).collect())
    }
}

/// Counts a target's tenants.
pub(in crate::store) async fn target_counts(
    connection: &mut Connection,
    now: StatementTime,
    target: &BatchTarget,
) -> Result<TargetCounts, sqlx::Error> {
    let (tenants, with_location, at, created_until) = sqlx::query_as(
        "select count(*), count(gbp_location), coalesce($1, now()), greatest(coalesce($1, now()), max(created_at))
           from tenant
          where ($2::text is null or organization_id = $2)
            and ($3::text[] is null or id = any ($3))",
    )
    .bind(now)
    .bind(target.organization())
    .bind(target.visible_tenants())
    .fetch_one(connection)
    .await?;
    Ok(TargetCounts { tenants, with_location, at, created_until })
}

/// Lists a target's tenants that have a location, and the organization of each, by id, after `after`, at most `limit`. With
/// `created_until` only those that are not younger.
pub(in crate::store) async fn located_tenants(
    connection: &mut Connection,
    target: &BatchTarget,
    created_until: Option<DateTime<Utc>>,
    after: &str,
    limit: i64,
) -> Result<Vec<(TenantId, Option<OrganizationId>)>, sqlx::Error> {
    let rows = sqlx::query(
        "select id, organization_id from tenant
          where id > $1 and gbp_location is not null
            and ($2::text is null or organization_id = $2)
            and ($3::text[] is null or id = any ($3))
            and ($4::timestamptz is null or created_at <= $4)
          order by id
          limit $5",
    )
    .bind(after)
    .bind(target.organization())
    .bind(target.visible_tenants())
    .bind(created_until)
    .bind(limit)
    .fetch_all(connection)
    .await?;
    rows.iter().map(tenant_and_organization).collect()
}

/// Reads a tenant's id and organization from a row.
fn tenant_and_organization(row: &PgRow) -> Result<(TenantId, Option<OrganizationId>), sqlx::Error> {
    Ok((id(row, "id", TenantId::parse)?, optional_id(row, "organization_id", OrganizationId::parse)?))
}
