//! The tenants of a batch: a set that is recorded when the batch is accepted, and read during its expansion.
//!
//! A tenant that moves into the target afterwards is not in it. One that leaves the target stays in it, so that the
//! batch can report a result for each confirmed tenant. Accepting 1,000,000 tenants writes 16 MB and takes
//! less than a second; counting them takes a tenth of that.

use chrono::{DateTime, Utc};
use sqlx::{Row, postgres::PgRow};

use super::target::{BatchTarget, located_tenants};
use crate::{
    domain::{BatchId, FlagAtAcceptance, FlagReason, OrganizationId, TenantId},
    store::{
        connections::Connection,
        row::{id, optional_id},
    },
};

/// Tenants per page: more than runs per chunk, so that a chunk reads two pages at most.
const PAGE_SIZE: i64 = 1000;
/// Tenants per read where the flag has to be evaluated for each.
const EVALUATION_PAGE_SIZE: i64 = 10_000;

/// The tenants for which the flag is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct EnabledTenants {
    /// Their number.
    pub(in crate::store) tenants: i64,
    /// Why the flag is off for the first of the others, if there is one.
    pub(in crate::store) refusal: Option<FlagReason>,
}

/// A tenant of a batch in its current state.
pub(in crate::store) struct Member {
    pub(in crate::store) id: TenantId,
    /// `None`: it was deleted, or has no location.
    pub(in crate::store) organization_if_located: Option<Option<OrganizationId>>,
}

/// Records the target's located tenants after `after` for which the flag is on. It may take several statements, so a
/// caller that relies on one snapshot needs a transaction that has one.
pub(in crate::store) async fn write_tenants(
    connection: &mut Connection,
    batch: BatchId,
    target: &BatchTarget,
    flag_at_acceptance: &FlagAtAcceptance,
    (after, created_until): (&str, Option<DateTime<Utc>>),
) -> Result<EnabledTenants, sqlx::Error> {
    if flag_at_acceptance.is_on_for_all() {
        let tenants = write_all(connection, batch, target, (after, created_until)).await?;
        return Ok(EnabledTenants { tenants, refusal: None });
    }
    let (mut enabled, mut after) = (EnabledTenants { tenants: 0, refusal: None }, after.to_owned());
    let mut page = Vec::new();
    loop {
        let tenants = located_tenants(connection, target, created_until, &after, EVALUATION_PAGE_SIZE).await?;
        let Some((last, _)) = tenants.last() else { break };
        after = last.to_string();
        for (tenant, organization) in tenants {
            match flag_at_acceptance.evaluate(&tenant, organization.as_ref()) {
                why if why.is_on() => page.push(tenant.to_string()),
                why => enabled.refusal = enabled.refusal.or(Some(why)),
            }
        }
        enabled.tenants += write_pages(connection, batch, &page).await?;
        page.clear();
    }
    Ok(enabled)
}

/// Records all located tenants of the target: one statement, and so one snapshot in any transaction.
async fn write_all(
    connection: &mut Connection,
    batch: BatchId,
    target: &BatchTarget,
    (after, created_until): (&str, Option<DateTime<Utc>>),
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "with pages as (
             insert into batch_tenant_page (batch_id, last_tenant_id, tenant_ids)
             select $1, max(id), array_agg(id)
               from (select id, (row_number() over (order by id) - 1) / $6 as page
                       from tenant
                      where id > $4 and gbp_location is not null
                        and ($2::text is null or organization_id = $2)
                        and ($3::text[] is null or id = any ($3))
                        and ($5::timestamptz is null or created_at <= $5)) located
              group by page
             returning cardinality(tenant_ids) as tenants
         )
         select coalesce(sum(tenants), 0)::bigint from pages",
    )
    .bind(batch)
    .bind(target.organization())
    .bind(target.visible_tenants())
    .bind(after)
    .bind(created_until)
    .bind(PAGE_SIZE)
    .fetch_one(connection)
    .await
}

/// Records tenants, in the order of their ids, as new pages.
async fn write_pages(connection: &mut Connection, batch: BatchId, tenants: &[String]) -> Result<i64, sqlx::Error> {
    sqlx::query(
        "insert into batch_tenant_page (batch_id, last_tenant_id, tenant_ids)
         select $1, (array_agg(id order by position desc))[1], array_agg(id order by position)
           from (select id, position, (position - 1) / $3 as page from unnest($2::text[]) with ordinality as tenant (id, position)) numbered
          group by page",
    )
    .bind(batch)
    .bind(tenants)
    .bind(PAGE_SIZE)
    .execute(connection)
    .await?;
    Ok(i64::try_from(tenants.len()).unwrap_or(i64::MAX))
}

/// Reads the next tenants of a batch after `after`, at most `limit`, in their current state.
pub(in crate::store) async fn next_members(
    connection: &mut Connection,
    batch: BatchId,
    created_until: DateTime<Utc>,
    after: &str,
    limit: i64,
) -> Result<Vec<Member>, sqlx::Error> {
    let rows = sqlx::query(
        "select member.id, tenant.organization_id, tenant.id is not null as is_located
           from (select listed.id
                   from (select unnest(page.tenant_ids) as id
                           from (select tenant_ids from batch_tenant_page
                                  where batch_id = $1 and last_tenant_id > $2
                                  order by last_tenant_id
                                  limit $5) page) listed
                  where listed.id > $2
                  order by listed.id
                  limit $4) member
           left join lateral (select tenant.id, tenant.organization_id
                                from tenant
                               where tenant.id = member.id and tenant.gbp_location is not null and tenant.created_at <= $3
                               limit 1) tenant on true
          order by member.id",
    )
    .bind(batch)
    .bind(after)
    .bind(created_until)
    .bind(limit)
    .bind(limit / PAGE_SIZE + 2)
    .fetch_all(connection)
    .await?;
    rows.iter().map(member).collect()
}

fn member(row: &PgRow) -> Result<Member, sqlx::Error> {
    let organization = optional_id(row, "organization_id", OrganizationId::parse)?;
    let is_located: bool = row.try_get("is_located")?;
    Ok(Member { id: id(row, "id", TenantId::parse)?, organization_if_located: is_located.then_some(organization) })
}

/// Deletes the set of a batch's tenants, once all of its runs exist.
pub(in crate::store) async fn delete_tenants(connection: &mut Connection, batch: BatchId) -> Result<(), sqlx::Error> {
    sqlx::query("delete from batch_tenant_page where batch_id = $1").bind(batch).execute(connection).await?;
    Ok(())
}
