//! What the index of a list's names is made of, and the platform's categories with what they map to in a region.

use sqlx::{FromRow, Row, postgres::PgRow};

use crate::{
    domain::{GbpCategory, Gcid, Locale, RegionCode, Slug},
    error::Error,
    store::{
        handle::Store,
        row::{id, optional_id},
    },
};

/// A platform category, and what it maps to in a region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappedCategory {
    /// The platform category.
    pub slug: Slug,
    /// Its name for people.
    pub display_name: String,
    /// What it maps to in the region. `None`: nothing.
    pub gcid: Option<Gcid>,
}

impl Store {
    /// Lists all categories of one version of a list, in no order. A version never changes, so its list is the same whenever it is read.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn taxonomy_list(&self, locale: &Locale, version: i32) -> Result<Vec<GbpCategory>, Error> {
        let rows = sqlx::query_as::<_, ListedRow>(
            "select gcid, display_name from taxonomy_category
              where region_code = $1
                and language_code = $2
                and since_version <= $3
                and (until_version is null or until_version > $3)",
        )
        .bind(locale.region.as_str())
        .bind(locale.language.as_str())
        .bind(version)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| row.0).collect())
    }

    /// Lists platform categories by slug, after `after`, at most `limit`, each with what it maps to in a region.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn mapped_categories(
        &self,
        region: &RegionCode,
        after: &str,
        limit: i64,
    ) -> Result<Vec<MappedCategory>, Error> {
        let rows = sqlx::query_as::<_, MappedRow>(
            "select category.slug, category.display_name, category.gcid
               from (select slug from platform_category
                      where slug > $2
                      order by slug
                      limit $3) as page
              cross join lateral (select slug, display_name, gcid from categories_in_region($1) where slug = page.slug limit 1) as category
              order by page.slug",
        )
        .bind(region.as_str())
        .bind(after)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| row.0).collect())
    }
}

struct ListedRow(GbpCategory);

impl FromRow<'_, PgRow> for ListedRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self(GbpCategory::new(id(row, "gcid", Gcid::parse)?, row.try_get::<String, _>("display_name")?)))
    }
}

struct MappedRow(MappedCategory);

impl FromRow<'_, PgRow> for MappedRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self(MappedCategory {
            slug: id(row, "slug", Slug::parse)?,
            display_name: row.try_get("display_name")?,
            gcid: optional_id(row, "gcid", Gcid::parse)?,
        }))
    }
}
