//! What `gbp_to_platform` reads of the platform.

use sqlx::{FromRow, Row};

use crate::{
    domain::{Complete, Gcid, PlatformCatalog, TenantId, candidate_slugs},
    error::Error,
    store::{catalog::platform_category::CategoryRow, handle::Store},
};

impl Store {
    /// Reads the platform categories that map to these gcids or would be created for them, and those of the tenant: in one snapshot.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn platform_catalog(
        &self,
        tenant: &TenantId,
        gcids: &[Gcid],
    ) -> Result<Complete<PlatformCatalog>, Error> {
        let slugs = gcids.iter().flat_map(candidate_slugs).map(|slug| slug.to_string());
        let rows = sqlx::query(
            "select category.slug, category.display_name, category.gcid, category.imported_locale, category.created_at, category.updated_at,
                    chosen.position
               -- A row even if the tenant is gone.
               from (select (select region_code from tenant where id = $1) as region_code) as here
              cross join lateral categories_in_region(here.region_code) as category
               left join tenant_category chosen on chosen.slug = category.slug and chosen.tenant_id = $1
              where category.gcid = any ($2)
                 or category.slug = any ($3)
                 or category.slug in (select slug from tenant_category where tenant_id = $1)
              order by chosen.position, category.slug",
        )
        .bind(tenant.as_str())
        .bind(gcids.iter().map(ToString::to_string).collect::<Vec<_>>())
        .bind(slugs.collect::<Vec<_>>())
        .fetch_all(&self.pool)
        .await?;
        let mut side = PlatformCatalog { chosen: Vec::new(), known: Vec::new() };
        for row in &rows {
            let category = CategoryRow::from_row(row)?.0;
            if row.try_get::<Option<i16>, _>("position")?.is_some() {
                side.chosen.push(category.clone());
            }
            side.known.push(category);
        }
        Ok(Complete::read(side))
    }
}
