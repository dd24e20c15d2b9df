//! The platform's categories and their mapping.

use sqlx::{FromRow, Row, postgres::PgRow};

use super::{
    Now, Store,
    error::OnConstraint,
    row::{id, optional_id},
};
use crate::{
    domain::{Gcid, PlatformCategory, Slug},
    error::{Error, Resource},
};

/// New values of a platform category; the outer `None` leaves a field alone, the inner one unmaps it.
#[derive(Debug, Default, Clone)]
pub struct PlatformCategoryChange {
    /// The name for people.
    pub display_name: Option<String>,
    /// The GBP category.
    pub gcid: Option<Option<Gcid>>,
}

impl Store {
    /// Adds a platform category.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`], or the database's.
    pub async fn insert_platform_category(
        &self,
        now: Now,
        slug: &Slug,
        display_name: &str,
        gcid: Option<&Gcid>,
    ) -> Result<PlatformCategory, Error> {
        let row = sqlx::query_as::<_, CategoryRow>(
            "insert into platform_category (slug, display_name, gcid, created_at, updated_at)
             values ($1, $2, $3, coalesce($4, now()), coalesce($4, now()))
             returning *",
        )
        .bind(slug.as_str())
        .bind(display_name)
        .bind(gcid.map(ToString::to_string))
        .bind(now)
        .fetch_one(&self.pool)
        .await
        .on_constraint("platform_category_pkey", || {
            Error::AlreadyExists(Resource::PlatformCategory, slug.resource_name())
        })?;
        Ok(row.0)
    }

    /// Gets a platform category.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the database's.
    pub async fn platform_category(&self, slug: &Slug) -> Result<PlatformCategory, Error> {
        sqlx::query_as::<_, CategoryRow>("select * from platform_category where slug = $1")
            .bind(slug.as_str())
            .fetch_optional(&self.pool)
            .await?
            .map(|row| row.0)
            .ok_or_else(|| not_found(slug))
    }

    /// Lists platform categories by slug, after `after`, at most `limit`.
    ///
    /// # Errors
    /// The database's.
    pub async fn platform_categories(
        &self,
        unmapped_only: bool,
        after: &str,
        limit: i64,
    ) -> Result<Vec<PlatformCategory>, Error> {
        let rows = sqlx::query_as::<_, CategoryRow>(
            "select * from platform_category
              where slug > $1
                and (not $2 or gcid is null)
              order by slug
              limit $3",
        )
        .bind(after)
        .bind(unmapped_only)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| row.0).collect())
    }

    /// Changes a platform category.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the database's.
    pub async fn update_platform_category(
        &self,
        now: Now,
        slug: &Slug,
        change: &PlatformCategoryChange,
    ) -> Result<PlatformCategory, Error> {
        sqlx::query_as::<_, CategoryRow>(
            "update platform_category
                set display_name = coalesce($2, display_name),
                    -- What a person has named or mapped is the platform's own.
                    imported_locale = case when $2 is null and not $3 then imported_locale end,
                    gcid = case when $3 then $4 else gcid end,
                    updated_at = coalesce($5, now())
              where slug = $1
             returning *",
        )
        .bind(slug.as_str())
        .bind(change.display_name.as_deref())
        .bind(change.gcid.is_some())
        .bind(change.gcid.as_ref().and_then(Option::as_ref).map(ToString::to_string))
        .bind(now)
        .fetch_optional(&self.pool)
        .await?
        .map(|row| row.0)
        .ok_or_else(|| not_found(slug))
    }

    /// Deletes a platform category that no tenant has.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::CategoryInUse`], or the database's.
    pub async fn delete_platform_category(&self, slug: &Slug) -> Result<(), Error> {
        let deleted =
            sqlx::query("delete from platform_category where slug = $1").bind(slug.as_str()).execute(&self.pool).await;
        match deleted {
            Ok(done) if done.rows_affected() == 0 => Err(not_found(slug)),
            Ok(_) => Ok(()),
            Err(error)
                if error.as_database_error().is_some_and(|e| e.constraint() == Some("tenant_category_is_known")) =>
            {
                let (tenants,): (i64,) = sqlx::query_as("select count(*) from tenant_category where slug = $1")
                    .bind(slug.as_str())
                    .fetch_one(&self.pool)
                    .await?;
                Err(Error::CategoryInUse { slug: slug.clone(), tenants })
            }
            Err(error) => Err(error.into()),
        }
    }
}

pub(super) struct CategoryRow(pub(super) PlatformCategory);

impl FromRow<'_, PgRow> for CategoryRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self(PlatformCategory {
            slug: id(row, "slug", Slug::parse)?,
            display_name: row.try_get("display_name")?,
            gcid: optional_id(row, "gcid", Gcid::parse)?,
            imported: row.try_get("imported_locale")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
        }))
    }
}

fn not_found(slug: &Slug) -> Error {
    Error::NotFound(Resource::PlatformCategory, slug.resource_name())
}
