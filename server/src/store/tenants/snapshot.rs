//! What an attempt reads of the platform: for many runs with one statement, so in one snapshot.

use std::{collections::HashMap, iter::zip};

use chrono::{DateTime, Utc};
use sqlx::{FromRow, Row, postgres::PgRow};

use super::tenant::TenantRow;
use crate::{
    domain::{Complete, Gcid, PlatformCategory, Run, RunId, Slug, Strategy, Tenant},
    error::Error,
    store::{
        credentials::{CredentialsVersion, version},
        handle::Store,
        row::decode,
        runs::attempt::observation::LastObservation,
        statement::StatementTime,
    },
};

/// The platform's side of a run: complete, or an error.
#[derive(Debug, Clone)]
pub struct TenantSnapshot {
    /// The tenant.
    pub tenant: Tenant,
    /// Its account's own credentials; `None`: it has none, and the server's are for it.
    pub credentials: Option<CredentialsVersion>,
    /// Its categories with what each stands for in its region, the primary one first. Empty: it has none.
    pub categories: Complete<Vec<PlatformCategory>>,
    /// When a real run of the same tenant, strategy and location last succeeded.
    pub last_success_at: Option<DateTime<Utc>>,
    /// What the last observation of its location found. `None`: none is recorded.
    pub last_observation: Option<LastObservation>,
    /// The time of the read, by the statement's clock.
    pub read_at: DateTime<Utc>,
}

impl Store {
    /// Reads the platform's side of runs, each row by its key, however many tenants and categories there are. One that is missing from the answer has a tenant that is gone.
    ///
    /// # Errors
    /// The database's; they concern all of the runs.
    pub async fn tenant_snapshots(
        &self,
        now: StatementTime,
        runs: &[&Run],
    ) -> Result<HashMap<RunId, TenantSnapshot>, Error> {
        let statement = sqlx::query_as(
            "select wanted.run_id, tenant.id, tenant.display_name, tenant.organization_id, tenant.gbp_account, tenant.gbp_location,
                    tenant.region_code, tenant.language_code, tenant.created_at, tenant.updated_at, version.revision, version.rejected_at, version.rejected_since, version.reject_reason,
                    success.ended_at as last_success_at, observation.digest, observation.matches_baseline, observation.failed, coalesce($1, now()) as read_at,
                    chosen.slugs, chosen.names, chosen.gcids, chosen.locales, chosen.created, chosen.updated
               from unnest($2::uuid[], $3::text[], $4::text[]) as wanted (run_id, tenant_id, strategy)
              cross join lateral (select id, display_name, organization_id, gbp_account, gbp_location, region_code, language_code,
                                         created_at, updated_at
                                    from tenant
                                   where tenant.id = wanted.tenant_id
                                   limit 1) tenant
               left join lateral (select revision, rejected_at, rejected_since, reject_reason
                                    from gbp_credentials
                                   where account_id = tenant.gbp_account
                                   limit 1) version on true
               left join lateral (select ended_at
                                    from last_success
                                   where last_success.tenant_id = tenant.id and last_success.strategy = wanted.strategy
                                     and last_success.gbp_location is not distinct from tenant.gbp_location
                                   limit 1) success on true
               left join lateral (select digest, matches_baseline, cause = 'unknown' as failed
                                    from tenant_sync
                                   where tenant_sync.tenant_id = tenant.id and tenant_sync.gbp_location = tenant.gbp_location
                                   limit 1) observation on true
              cross join lateral (select array_agg(slug) as slugs, array_agg(display_name) as names, array_agg(gcid) as gcids,
                                         array_agg(imported_locale) as locales, array_agg(created_at) as created,
                                         array_agg(updated_at) as updated
                                    from (select category.slug, category.display_name, category.imported_locale,
                                                 category.created_at, category.updated_at,
                                                 case when own.slug is null then category.gcid else own.gcid end as gcid
                                            from tenant_category place
                                           cross join lateral (select slug, display_name, gcid, imported_locale, created_at, updated_at
                                                                 from platform_category
                                                                where platform_category.slug = place.slug
                                                                limit 1) category
                                            left join lateral (select slug, gcid from regional_mapping
                                                                where regional_mapping.slug = place.slug
                                                                  and regional_mapping.region_code = tenant.region_code
                                                                limit 1) own on true
                                           where place.tenant_id = tenant.id
                                           order by place.position) as placed) chosen",
        )
        .bind(now)
        .bind(runs.iter().map(|run| run.id).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| run.tenant.as_str()).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| Strategy::as_str(run.kind.strategy)).collect::<Vec<_>>());
        let rows = statement.fetch_all(&self.queue_pool).await?;
        Ok(rows.into_iter().map(|TenantSnapshotRow(id, source)| (id, source)).collect())
    }
}

/// The same, with its run.
struct TenantSnapshotRow(RunId, TenantSnapshot);

impl FromRow<'_, PgRow> for TenantSnapshotRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let source = TenantSnapshot {
            tenant: TenantRow::from_row(row)?.0,
            credentials: if row.try_get::<Option<i64>, _>("revision")?.is_some() { Some(version(row)?) } else { None },
            // One statement gave them all, or an error.
            categories: Complete::read(categories(row)?),
            last_success_at: row.try_get("last_success_at")?,
            last_observation: match row.try_get("matches_baseline")? {
                Some(matches_baseline) => Some(LastObservation {
                    digest: row.try_get("digest")?,
                    matches_baseline,
                    failed: row.try_get("failed")?,
                }),
                None => None,
            },
            read_at: row.try_get("read_at")?,
        };
        Ok(Self(row.try_get("run_id")?, source))
    }
}

/// The tenant's categories: each of their columns is a list.
fn categories(row: &PgRow) -> Result<Vec<PlatformCategory>, sqlx::Error> {
    let Some(slugs) = row.try_get::<Option<Vec<String>>, _>("slugs")? else { return Ok(Vec::new()) };
    let names = zip(slugs, row.try_get::<Vec<String>, _>("names")?);
    let origins =
        zip(row.try_get::<Vec<Option<String>>, _>("gcids")?, row.try_get::<Vec<Option<String>>, _>("locales")?);
    let times = zip(row.try_get::<Vec<_>, _>("created")?, row.try_get::<Vec<_>, _>("updated")?);
    zip(names, zip(origins, times))
        .map(|((slug, display_name), ((gcid, imported_locale), (created_at, updated_at)))| {
            let slug = Slug::parse(&slug).map_err(|error| decode("slugs", error))?;
            let gcid = gcid.as_deref().map(Gcid::parse).transpose().map_err(|error| decode("gcids", error))?;
            Ok(PlatformCategory { slug, display_name, gcid, imported_locale, created_at, updated_at })
        })
        .collect()
}
