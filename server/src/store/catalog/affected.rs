//! The mappings and tenants that a new version of a taxonomy concerns.

use sqlx::{FromRow, Row, postgres::PgRow};

use crate::{
    domain::{Affected, AffectedMapping, GbpCategory, Gcid, Locale, MappingEffect, Slug, TaxonomyDiff, TenantId},
    error::Error,
    store::{connections::Connection, handle::Store, row::id, statement::StatementTime},
};

impl Store {
    /// Finds what the newest version of a list concerns: platform categories that map, in its region, to what it does not have or to one of
    /// `renamed`, and the tenants that have them. At most `limit` of each are listed.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn affected(&self, locale: &Locale, renamed: &[&Gcid], limit: i64) -> Result<Affected, Error> {
        let renamed: Vec<String> = renamed.iter().map(ToString::to_string).collect();
        let rows = sqlx::query_as::<_, AffectedRow>(include_str!("affected_mappings.sql"))
            .bind(locale.region.as_str())
            .bind(locale.language.as_str())
            .bind(&renamed)
            .bind(limit)
            .fetch_all(&self.pool)
            .await?;
        let Some(mapping_count) = rows.first().map(|row| row.mapping_count) else { return Ok(Affected::default()) };
        let tenants: Vec<(String, i64)> = sqlx::query_as(include_str!("affected_tenants.sql"))
            .bind(locale.region.as_str())
            .bind(locale.language.as_str())
            .bind(&renamed)
            .bind(limit)
            .fetch_all(&self.pool)
            .await?;
        let tenant = |(id, _): &(String, i64)| TenantId::parse(id).map_err(|error| Error::Internal(error.into()));
        Ok(Affected {
            mapping_count,
            mappings: rows.into_iter().map(|row| row.mapping).collect(),
            tenant_count: tenants.first().map_or(0, |(_, count)| *count),
            tenants: tenants.iter().map(tenant).collect::<Result<_, _>>()?,
        })
    }
}

/// Sets the drift cause of each tenant with a category that maps to a retired gcid, and has the next run observe the
/// tenants whose gcids may be listed again. Runs would find the same for one tenant after the other.
pub(in crate::store) async fn mark_tenants(
    connection: &mut Connection,
    now: StatementTime,
    locale: &Locale,
    diff: &TaxonomyDiff,
) -> Result<(), sqlx::Error> {
    let gcids = |categories: &[GbpCategory]| categories.iter().map(|it| it.gcid.to_string()).collect::<Vec<_>>();
    if !diff.retired().is_empty() {
        sqlx::query(include_str!("mark_retired.sql"))
            .bind(locale.region.as_str())
            .bind(gcids(diff.retired()))
            .bind(now)
            .execute(&mut *connection)
            .await?;
    }
    if !diff.added().is_empty() {
        sqlx::query(
            "update tenant_sync
                set digest = null
               from tenant
              where cause = 'category_retired' and tenant.id = tenant_id and tenant.region_code = $1",
        )
        .bind(locale.region.as_str())
        .execute(connection)
        .await?;
    }
    Ok(())
}

struct AffectedRow {
    mapping: AffectedMapping,
    mapping_count: i64,
}

impl FromRow<'_, PgRow> for AffectedRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let effect = match row.try_get::<Option<bool>, _>("is_listed")? {
            None => MappingEffect::Unlisted,
            Some(false) => MappingEffect::Retired,
            Some(true) => MappingEffect::Renamed,
        };
        Ok(Self {
            mapping: AffectedMapping {
                slug: id(row, "slug", Slug::parse)?,
                gcid: id(row, "gcid", Gcid::parse)?,
                effect,
                tenants: row.try_get("tenants")?,
            },
            mapping_count: row.try_get("mapping_count")?,
        })
    }
}
