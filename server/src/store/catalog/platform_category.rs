//! The platform's categories and their mapping.

use sqlx::{FromRow, Row, postgres::PgRow, types::Json};

use crate::{
    domain::{CatalogEntry, Gcid, PlatformCategory, PlatformCategoryChange, RegionCode, RegionalMapping, Slug},
    error::{Error, Resource},
    store::{
        connections::Connection,
        error::OnConstraint,
        handle::Store,
        row::{id, optional_id},
        statement::StatementTime,
    },
};

/// The columns of `platform_category`, as [`CategoryRow`] reads them.
macro_rules! category_columns {
    () => {
        "slug, display_name, gcid, imported_locale, created_at, updated_at"
    };
}
pub(in crate::store) use category_columns;

impl Store {
    /// Adds a platform category.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`], [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn insert_platform_category(
        &self,
        now: StatementTime,
        slug: &Slug,
        display_name: &str,
        gcid: Option<&Gcid>,
        regional: &RegionalMapping,
    ) -> Result<CatalogEntry, Error> {
        let mut transaction = self.pool.begin().await?;
        let row = sqlx::query_as::<_, CategoryRow>(concat!(
            "insert into platform_category (slug, display_name, gcid, created_at, updated_at)
             values ($1, $2, $3, coalesce($4, now()), coalesce($4, now()))
             returning ",
            category_columns!()
        ))
        .bind(slug.as_str())
        .bind(display_name)
        .bind(gcid.map(ToString::to_string))
        .bind(now)
        .fetch_one(&mut *transaction)
        .await
        .on_constraint("platform_category_pkey", || {
            Error::AlreadyExists(Resource::PlatformCategory, slug.resource_name())
        })?;
        insert_regional(&mut transaction, &[(slug, regional)]).await?;
        transaction.commit().await?;
        Ok(CatalogEntry { category: row.0, regional: regional.clone() })
    }

    /// Gets a platform category.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn platform_category(&self, slug: &Slug) -> Result<CatalogEntry, Error> {
        sqlx::query_as::<_, EntryRow>(
            concat!("select ", category_columns!(), ",
                    (select jsonb_object_agg(region_code, own.gcid) from regional_mapping own where own.slug = category.slug) as regional
               from platform_category category
              where slug = $1"),
        )
        .bind(slug.as_str())
        .fetch_optional(&self.pool)
        .await?
        .map(|row| row.0)
        .ok_or_else(|| not_found(slug))
    }

    /// Lists platform categories by slug, after `after`, at most `limit`. An unmapped category maps to nothing in any region.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn platform_categories(
        &self,
        unmapped_only: bool,
        after: &str,
        limit: i64,
    ) -> Result<Vec<CatalogEntry>, Error> {
        let rows = sqlx::query_as::<_, EntryRow>(
            concat!("select ", category_columns!(), ",
                    (select jsonb_object_agg(region_code, own.gcid) from regional_mapping own where own.slug = category.slug) as regional
               from platform_category category
              where slug > $1
                and (not $2 or gcid is null and not exists (select from regional_mapping own
                                                             where own.slug = category.slug and own.gcid is not null))
              order by slug
              limit $3"),
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
    /// [`Error::NotFound`], [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn update_platform_category(
        &self,
        now: StatementTime,
        slug: &Slug,
        change: &PlatformCategoryChange,
    ) -> Result<CatalogEntry, Error> {
        let mut transaction = self.pool.begin().await?;
        // Locks the row, so two changes of the regions' mappings do not mix.
        let updated = sqlx::query(
            "update platform_category
                set display_name = coalesce($2, display_name),
                    -- What a person has named or mapped is the platform's own.
                    imported_locale = case when $2 is null and not $3 and not $6 then imported_locale end,
                    gcid = case when $3 then $4 else gcid end,
                    updated_at = coalesce($5, now())
              where slug = $1",
        )
        .bind(slug.as_str())
        .bind(change.display_name.as_deref())
        .bind(change.gcid.is_some())
        .bind(change.gcid.as_ref().and_then(Option::as_ref).map(ToString::to_string))
        .bind(now)
        .bind(change.regional.is_some())
        .execute(&mut *transaction)
        .await?;
        if updated.rows_affected() == 0 {
            return Err(not_found(slug));
        }
        if let Some(regional) = &change.regional {
            delete_regional(&mut transaction, &[slug]).await?;
            insert_regional(&mut transaction, &[(slug, regional)]).await?;
        }
        transaction.commit().await?;
        self.platform_category(slug).await
    }

    /// Deletes a platform category that no tenant has.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::CategoryInUse`], [`Error::DatabaseUnavailable`] or [`Error::Internal`].
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

pub(in crate::store) struct CategoryRow(pub(in crate::store) PlatformCategory);

impl FromRow<'_, PgRow> for CategoryRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self(PlatformCategory {
            slug: id(row, "slug", Slug::parse)?,
            display_name: row.try_get("display_name")?,
            gcid: optional_id(row, "gcid", Gcid::parse)?,
            imported_locale: row.try_get("imported_locale")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
        }))
    }
}

/// A platform category with `regional`, its regions' mappings as an object.
pub(in crate::store) struct EntryRow(pub(in crate::store) CatalogEntry);

impl FromRow<'_, PgRow> for EntryRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let regional: Option<Json<RegionalMapping>> = row.try_get("regional")?;
        let regional = regional.map(|json| json.0).unwrap_or_default();
        Ok(Self(CatalogEntry { category: CategoryRow::from_row(row)?.0, regional }))
    }
}

/// Takes the regions' mappings of platform categories away.
pub(in crate::store) async fn delete_regional(connection: &mut Connection, slugs: &[&Slug]) -> Result<(), Error> {
    sqlx::query("delete from regional_mapping where slug = any ($1)")
        .bind(slugs.iter().map(|slug| slug.as_str()).collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}

/// Adds regions' mappings of platform categories.
pub(in crate::store) async fn insert_regional(
    connection: &mut Connection,
    mappings: &[(&Slug, &RegionalMapping)],
) -> Result<(), Error> {
    let rows =
        || mappings.iter().flat_map(|(slug, regional)| regional.iter().map(move |(region, gcid)| (slug, region, gcid)));
    if rows().next().is_none() {
        return Ok(());
    }
    sqlx::query(
        "insert into regional_mapping (slug, region_code, gcid)
         select slug, region_code, gcid from unnest($1::text[], $2::text[], $3::text[]) as wanted (slug, region_code, gcid)",
    )
    .bind(rows().map(|(slug, ..)| slug.as_str()).collect::<Vec<_>>())
    .bind(rows().map(|(_, region, _)| RegionCode::as_str(region)).collect::<Vec<_>>())
    .bind(rows().map(|(.., gcid)| gcid.as_ref().map(ToString::to_string)).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

fn not_found(slug: &Slug) -> Error {
    Error::NotFound(Resource::PlatformCategory, slug.resource_name())
}
