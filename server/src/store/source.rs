//! What an attempt reads of the platform: for many runs with one statement, so in one snapshot.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::types::Json;

use super::{CredentialsMark, LastLook, Now, Store, credentials::MarkJson};
use crate::{
    domain::{
        AccountId, Complete, Gcid, LocationId, OrganizationId, PlatformCategory, Run, RunId, Slug, Strategy, Tenant,
        TenantId,
    },
    error::Error,
};

/// The platform's side of a run: complete, or an error.
#[derive(Debug, Clone)]
pub struct Source {
    /// The tenant.
    pub tenant: Tenant,
    /// Its account's own credentials; `None`: it has none, and the server's are for it.
    pub credentials: Option<CredentialsMark>,
    /// Its categories with what each stands for in its region, the primary one first. Empty: it has none.
    pub categories: Complete<Vec<PlatformCategory>>,
    /// When a real run of the same tenant and strategy last succeeded.
    pub last_success_at: Option<DateTime<Utc>>,
    /// What the last look at its location found. `None`: none is recorded.
    pub last_look: Option<LastLook>,
    /// The time of the read, by the statement's clock.
    pub read_at: DateTime<Utc>,
}

impl Store {
    /// Reads the platform's side of runs. One that is missing from the answer has a tenant that is gone.
    ///
    /// # Errors
    /// The database's; they concern all of the runs.
    pub async fn sources(&self, now: Now, runs: &[&Run]) -> Result<HashMap<RunId, Source>, Error> {
        let rows: Vec<(RunId, Option<Json<SourceJson>>)> = sqlx::query_as(
            "select run_id,
                    (select jsonb_build_object(
                                'tenant', to_jsonb(tenant),
                                'read_at', coalesce($1, now()),
                                'credentials', (select to_jsonb(mark)
                                                  from (select revision, rejected_at, rejected_because
                                                          from gbp_credentials
                                                         where account_id = tenant.gbp_account) as mark),
                                'last_success_at', (select ended_at from last_success
                                                     where tenant_id = wanted.tenant_id and strategy = wanted.strategy),
                                'last_look', (select jsonb_build_object('digest', digest, 'settled', settled,
                                                                        'failed', cause = 'unknown')
                                                from tenant_sync
                                               where tenant_id = wanted.tenant_id and gbp_location = tenant.gbp_location),
                                'categories', (select coalesce(jsonb_agg(case when own.slug is null then to_jsonb(category)
                                                                              else to_jsonb(category) || jsonb_build_object('gcid', own.gcid)
                                                                         end order by chosen.position), '[]')
                                                 from tenant_category chosen
                                                 join platform_category category using (slug)
                                                 left join regional_mapping own
                                                   on own.slug = chosen.slug and own.region_code = tenant.region_code
                                                where chosen.tenant_id = tenant.id))
                       from tenant
                      where id = wanted.tenant_id)
               from unnest($2::uuid[], $3::text[], $4::text[]) as wanted (run_id, tenant_id, strategy)",
        )
        .bind(now)
        .bind(runs.iter().map(|run| run.id).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| run.tenant.as_str()).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| Strategy::as_str(run.kind.strategy)).collect::<Vec<_>>())
        .fetch_all(&self.hot)
        .await?;
        Ok(rows.into_iter().filter_map(|(id, source)| Some((id, source?.0.into()))).collect())
    }
}

/// The same, as the statement puts it together.
#[derive(Deserialize)]
struct SourceJson {
    tenant: TenantJson,
    credentials: Option<MarkJson>,
    categories: Vec<CategoryJson>,
    last_success_at: Option<DateTime<Utc>>,
    last_look: Option<LastLook>,
    read_at: DateTime<Utc>,
}

#[derive(Deserialize)]
struct TenantJson {
    id: TenantId,
    display_name: String,
    organization_id: Option<OrganizationId>,
    gbp_account: Option<AccountId>,
    gbp_location: Option<LocationId>,
    region_code: String,
    language_code: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

#[derive(Deserialize)]
struct CategoryJson {
    slug: Slug,
    display_name: String,
    gcid: Option<Gcid>,
    imported_locale: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<SourceJson> for Source {
    fn from(source: SourceJson) -> Self {
        let SourceJson { tenant, credentials, categories, last_success_at, last_look, read_at } = source;
        let tenant = Tenant {
            id: tenant.id,
            display_name: tenant.display_name,
            organization: tenant.organization_id,
            account: tenant.gbp_account,
            location: tenant.gbp_location,
            region_code: tenant.region_code,
            language_code: tenant.language_code,
            created_at: tenant.created_at,
            updated_at: tenant.updated_at,
        };
        let category = |category: CategoryJson| PlatformCategory {
            slug: category.slug,
            display_name: category.display_name,
            gcid: category.gcid,
            imported: category.imported_locale,
            created_at: category.created_at,
            updated_at: category.updated_at,
        };
        let credentials = credentials.map(Into::into);
        // One statement gave them all, or an error.
        let categories = Complete::read(categories.into_iter().map(category).collect());
        Self { tenant, credentials, categories, last_success_at, last_look, read_at }
    }
}
