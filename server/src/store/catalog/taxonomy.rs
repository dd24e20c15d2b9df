//! Google's lists of categories, and their versions.

use std::collections::BTreeMap;

use sqlx::{FromRow, Row, postgres::PgRow};

use super::affected::mark_tenants;
use crate::{
    domain::{Gcid, LanguageCode, Locale, RegionCode, TaxonomyDiff, TaxonomyLookup, TaxonomyVersion},
    error::Error,
    store::{
        error::OnConstraint,
        handle::Store,
        row::{decode, id},
        statement::StatementTime,
    },
};

/// A new version of a list.
#[derive(Debug)]
pub struct NewTaxonomy<'a> {
    /// Whose list.
    pub locale: &'a Locale,
    /// The version that it was compared with; 0 where there was none.
    pub since: i32,
    /// What is different, which must be something.
    pub diff: &'a TaxonomyDiff,
    /// Who imports it.
    pub caller: &'a str,
    /// Why, although it shrank.
    pub reason: &'a str,
}

/// The columns of `taxonomy_version`, as [`VersionRow`] reads them.
macro_rules! version_columns {
    () => {
        "region_code, language_code, version, category_count, added, renamed, retired, caller, allow_shrink_reason, imported_at, checked_at"
    };
}

impl Store {
    /// Gets the newest version of a list. `None`: none was imported.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn taxonomy(&self, locale: &Locale) -> Result<Option<TaxonomyVersion>, Error> {
        let row = sqlx::query_as::<_, VersionRow>(concat!(
            "select ",
            version_columns!(),
            " from taxonomy_version
              where region_code = $1
                and language_code = $2
              order by version desc
              limit 1"
        ))
        .bind(locale.region.as_str())
        .bind(locale.language.as_str())
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| row.0))
    }

    /// Lists versions by region and language, the newest first, after `after`, at most `limit`.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn taxonomy_versions(
        &self,
        region: Option<&RegionCode>,
        language: Option<&LanguageCode>,
        after: Option<&(Locale, i32)>,
        limit: i64,
    ) -> Result<Vec<TaxonomyVersion>, Error> {
        let rows = sqlx::query_as::<_, VersionRow>(concat!(
            "select ",
            version_columns!(),
            " from taxonomy_version
              where ($1::text is null or region_code = $1)
                and ($2::text is null or language_code = $2)
                and ($3::text is null or (region_code, language_code, -version) > ($3, $4::text, -$5::integer))
              order by region_code, language_code, version desc
              limit $6"
        ))
        .bind(region.map(RegionCode::as_str))
        .bind(language.map(LanguageCode::as_str))
        .bind(after.map(|(locale, _)| locale.region.as_str()))
        .bind(after.map(|(locale, _)| locale.language.as_str()))
        .bind(after.map(|(_, version)| version))
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| row.0).collect())
    }

    /// Gets the names on the newest version of a list.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn taxonomy_names(&self, locale: &Locale) -> Result<BTreeMap<Gcid, String>, Error> {
        let rows: Vec<(String, String)> = sqlx::query_as(
            "select gcid, display_name from taxonomy_category
              where region_code = $1
                and language_code = $2
                and until_version is null",
        )
        .bind(locale.region.as_str())
        .bind(locale.language.as_str())
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(|(gcid, name)| Ok((gcid_of(&gcid)?, name))).collect()
    }

    /// Adds a version: all of it, or nothing.
    ///
    /// # Errors
    /// [`Error::TaxonomyChanged`] when there is a newer version than the one it was compared with,
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn insert_taxonomy(&self, now: StatementTime, new: &NewTaxonomy<'_>) -> Result<TaxonomyVersion, Error> {
        let (region, language) = (new.locale.region.as_str(), new.locale.language.as_str());
        let version = new.since + 1;
        let count = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
        let mut transaction = self.pool.begin().await?;
        // First, because only one of several imports gets past this.
        let inserted = sqlx::query_as::<_, VersionRow>(concat!(
            "insert into taxonomy_version (region_code, language_code, version, category_count, added, renamed, retired,
                                           caller, allow_shrink_reason, imported_at, checked_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, coalesce($10, now()), coalesce($10, now()))
             returning ",
            version_columns!()
        ))
        .bind(region)
        .bind(language)
        .bind(version)
        .bind(i32::try_from(new.diff.count()).unwrap_or(i32::MAX))
        .bind(count(new.diff.added().len()))
        .bind(count(new.diff.renamed().len()))
        .bind(count(new.diff.retired().len()))
        .bind(new.caller)
        .bind(new.reason)
        .bind(now)
        .fetch_one(&mut *transaction)
        .await
        .on_constraint("taxonomy_version_is_imported_once", || Error::TaxonomyChanged(new.locale.clone()))?;
        let renamed = new.diff.renamed().iter().map(|renamed| &renamed.category);
        let ended = renamed.clone().chain(new.diff.retired()).map(|category| category.gcid.to_string());
        sqlx::query(
            "update taxonomy_category
                set until_version = $3
              where region_code = $1
                and language_code = $2
                and gcid = any ($4)
                and until_version is null",
        )
        .bind(region)
        .bind(language)
        .bind(version)
        .bind(ended.collect::<Vec<_>>())
        .execute(&mut *transaction)
        .await?;
        let begun: Vec<_> = renamed.chain(new.diff.added()).collect();
        sqlx::query(
            "insert into taxonomy_category (region_code, language_code, since_version, gcid, display_name)
             select $1, $2, $3, gcid, display_name
               from unnest($4::text[], $5::text[]) as begun (gcid, display_name)",
        )
        .bind(region)
        .bind(language)
        .bind(version)
        .bind(begun.iter().map(|category| category.gcid.to_string()).collect::<Vec<_>>())
        .bind(begun.iter().map(|category| category.display_name.as_str()).collect::<Vec<_>>())
        .execute(&mut *transaction)
        .await?;
        mark_tenants(&mut transaction, now, new.locale, new.diff).await?;
        transaction.commit().await?;
        Ok(inserted.0)
    }

    /// Notes that Google's list is still this version.
    ///
    /// # Errors
    /// [`Error::TaxonomyChanged`] when there is a newer version, [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn confirm_taxonomy(
        &self,
        now: StatementTime,
        locale: &Locale,
        version: i32,
    ) -> Result<TaxonomyVersion, Error> {
        sqlx::query_as::<_, VersionRow>(concat!(
            "update taxonomy_version
                set checked_at = coalesce($4, now())
              where region_code = $1
                and language_code = $2
                and version = $3
                and not exists (select from taxonomy_version newer
                                 where newer.region_code = $1 and newer.language_code = $2 and newer.version > $3)
             returning ",
            version_columns!()
        ))
        .bind(locale.region.as_str())
        .bind(locale.language.as_str())
        .bind(version)
        .bind(now)
        .fetch_optional(&self.pool)
        .await?
        .map(|row| row.0)
        .ok_or_else(|| Error::TaxonomyChanged(locale.clone()))
    }

    /// Looks up categories in the newest taxonomy version of each region, in any language: all languages have the same categories.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn taxonomy_lookup(&self, gcids: &[&Gcid]) -> Result<TaxonomyLookup, Error> {
        let rows: Vec<(String, Option<String>, Option<bool>)> = sqlx::query_as(
            "with newest as (
                 select distinct on (region_code) region_code, language_code
                   from taxonomy_version
                  order by region_code, checked_at desc, language_code
             )
             select newest.region_code, known.gcid, bool_or(known.until_version is null)
               from newest
               left join taxonomy_category known
                 on known.region_code = newest.region_code
                and known.language_code = newest.language_code
                and known.gcid = any ($1)
              group by newest.region_code, known.gcid",
        )
        .bind(gcids.iter().map(ToString::to_string).collect::<Vec<_>>())
        .fetch_all(&self.pool)
        .await?;
        let mut taxonomy_lookup = TaxonomyLookup::default();
        for (region, gcid, is_listed) in rows {
            let region = RegionCode::parse(&region).map_err(|error| Error::Internal(error.into()))?;
            let list = taxonomy_lookup.0.entry(region).or_default();
            if let Some((gcid, is_listed)) = gcid.zip(is_listed) {
                list.insert(gcid_of(&gcid)?, is_listed);
            }
        }
        Ok(taxonomy_lookup)
    }
}

pub(in crate::store) fn gcid_of(text: &str) -> Result<Gcid, Error> {
    Gcid::parse(text).map_err(|error| Error::Internal(error.into()))
}

struct VersionRow(TaxonomyVersion);

impl FromRow<'_, PgRow> for VersionRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let language: &str = row.try_get("language_code")?;
        let locale = Locale {
            region: id(row, "region_code", RegionCode::parse)?,
            language: LanguageCode::parse(language).map_err(|error| decode("language_code", error))?,
        };
        Ok(Self(TaxonomyVersion {
            locale,
            version: row.try_get("version")?,
            category_count: row.try_get("category_count")?,
            added: row.try_get("added")?,
            renamed: row.try_get("renamed")?,
            retired: row.try_get("retired")?,
            caller: row.try_get("caller")?,
            allow_shrink_reason: row.try_get("allow_shrink_reason")?,
            imported_at: row.try_get("imported_at")?,
            checked_at: row.try_get("checked_at")?,
        }))
    }
}
