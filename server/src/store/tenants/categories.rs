//! The platform categories of tenants.

use chrono::{DateTime, Utc};

use crate::{
    domain::{Slug, TenantCategories, TenantId},
    error::Error,
    store::{error::tenant_not_found, handle::Store, statement::StatementTime},
};

impl Store {
    /// Gets a tenant's categories, the primary one first.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn tenant_categories(&self, tenant: &TenantId) -> Result<TenantCategories, Error> {
        let (updated_at, slugs): (Option<DateTime<Utc>>, Vec<String>) = sqlx::query_as(
            "select t.categories_updated_at,
                    array(select c.slug from tenant_category c where c.tenant_id = t.id order by c.position)
               from tenant t
              where t.id = $1",
        )
        .bind(tenant.as_str())
        .fetch_optional(&self.pool)
        .await?
        .ok_or_else(|| tenant_not_found(tenant))?;
        let mut slugs = slugs
            .iter()
            .map(|slug| Slug::parse(slug).map_err(|error| Error::Internal(error.into())))
            .collect::<Result<Vec<_>, _>>()?
            .into_iter();
        Ok(TenantCategories { primary: slugs.next(), additional: slugs.collect(), updated_at })
    }

    /// Replaces a tenant's categories, in one transaction. Returns those of `slugs` that the platform does not know; if there are any,
    /// nothing was changed.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn set_tenant_categories(
        &self,
        now: StatementTime,
        tenant: &TenantId,
        slugs: &[Slug],
    ) -> Result<Vec<Slug>, Error> {
        let texts: Vec<&str> = slugs.iter().map(Slug::as_str).collect();
        let mut transaction = self.pool.begin().await?;
        // Locks the tenant first: two replacements at once must not mix.
        sqlx::query("update tenant set categories_updated_at = coalesce($2, now()) where id = $1 returning 1")
            .bind(tenant.as_str())
            .bind(now)
            .fetch_optional(&mut *transaction)
            .await?
            .ok_or_else(|| tenant_not_found(tenant))?;
        // Locks the categories against a deletion, in one order for all.
        let known: Vec<(String,)> =
            sqlx::query_as("select slug from platform_category where slug = any ($1) order by slug for key share")
                .bind(&texts)
                .fetch_all(&mut *transaction)
                .await?;
        let unknown: Vec<Slug> =
            slugs.iter().filter(|slug| !known.iter().any(|(known,)| known == slug.as_str())).cloned().collect();
        if !unknown.is_empty() {
            return Ok(unknown);
        }
        sqlx::query("delete from tenant_category where tenant_id = $1")
            .bind(tenant.as_str())
            .execute(&mut *transaction)
            .await?;
        sqlx::query(
            "insert into tenant_category (tenant_id, position, slug)
             select $1, wanted.position - 1, wanted.slug
               from unnest($2::text[]) with ordinality as wanted (slug, position)",
        )
        .bind(tenant.as_str())
        .bind(&texts)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(unknown)
    }
}
