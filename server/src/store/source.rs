//! What an attempt reads of the platform: everything in one statement, so in one snapshot.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::{FromRow, Row, postgres::PgRow, types::Json};

use super::{Now, Store, tenant::TenantRow};
use crate::{
    domain::{Gcid, PlatformCategory, Run, Slug, Tenant},
    error::Error,
};

/// The platform's side of a run: complete, or an error.
#[derive(Debug, Clone)]
pub struct Source {
    /// The tenant.
    pub tenant: Tenant,
    /// Its categories, the primary one first. Empty: it has none.
    pub categories: Vec<PlatformCategory>,
    /// When a real run of the same tenant and strategy last succeeded.
    pub last_success_at: Option<DateTime<Utc>>,
    /// The time of the read, by the statement's clock.
    pub read_at: DateTime<Utc>,
}

impl Store {
    /// Reads the platform's side of a run. `None`: the tenant is gone.
    ///
    /// # Errors
    /// The database's.
    pub async fn source(&self, now: Now, run: &Run) -> Result<Option<Source>, Error> {
        let row = sqlx::query_as::<_, SourceRow>(
            "select tenant.*,
                    coalesce($3, now()) as read_at,
                    (select max(ended_at) from run
                      where tenant_id = $1 and strategy = $2 and state = 'succeeded' and not dry_run) as last_success_at,
                    (select coalesce(jsonb_agg(to_jsonb(category) order by chosen.position), '[]')
                       from tenant_category chosen
                       join platform_category category using (slug)
                      where chosen.tenant_id = tenant.id) as categories
               from tenant
              where id = $1",
        )
        .bind(run.tenant.as_str())
        .bind(run.kind.strategy.as_str())
        .bind(now)
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| row.0))
    }
}

struct SourceRow(Source);

#[derive(Deserialize)]
struct CategoryJson {
    slug: Slug,
    display_name: String,
    gcid: Option<Gcid>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl FromRow<'_, PgRow> for SourceRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let Json(categories): Json<Vec<CategoryJson>> = row.try_get("categories")?;
        Ok(Self(Source {
            tenant: TenantRow::from_row(row)?.0,
            categories: categories
                .into_iter()
                .map(|CategoryJson { slug, display_name, gcid, created_at, updated_at }| PlatformCategory {
                    slug,
                    display_name,
                    gcid,
                    created_at,
                    updated_at,
                })
                .collect(),
            last_success_at: row.try_get("last_success_at")?,
            read_at: row.try_get("read_at")?,
        }))
    }
}
