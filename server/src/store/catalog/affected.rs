//! Which mappings and tenants a list of categories concerns.

use sqlx::{FromRow, Row, postgres::PgRow};

use super::taxonomy::NewTaxonomy;
use crate::{
    domain::{GbpCategory, Gcid, Locale, Slug, TenantId},
    error::Error,
    store::{connections::Connection, handle::Store, row::id, statement::StatementTime},
};

/// What is the matter with a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Google has the category no more.
    Retired,
    /// The category was never on the list.
    Unlisted,
    /// The category has another name.
    Renamed,
}

/// A mapping that the newest version of a list concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AffectedMapping {
    /// The platform category.
    pub slug: Slug,
    /// What it maps to in the region.
    pub gcid: Gcid,
    /// What is the matter.
    pub effect: Effect,
    /// How many tenants of the region have it.
    pub tenants: i64,
}

/// Everything that the newest version of a list concerns; the counts are complete, the lists bounded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Affected {
    /// How many mappings.
    pub mapping_count: i64,
    /// The mappings, by slug.
    pub mappings: Vec<AffectedMapping>,
    /// How many tenants of the region have one of them.
    pub tenant_count: i64,
    /// The tenants, by id.
    pub tenants: Vec<TenantId>,
}

impl Store {
    /// Finds what the newest version of a list concerns: platform categories that map, in its region, to what it does not have or to one of
    /// `renamed`, and the tenants that have them. At most `limit` of each are listed.
    ///
    /// # Errors
    /// The database's.
    pub async fn affected(&self, locale: &Locale, renamed: &[&Gcid], limit: i64) -> Result<Affected, Error> {
        let renamed: Vec<String> = renamed.iter().map(ToString::to_string).collect();
        let rows = sqlx::query_as::<_, AffectedRow>(
            "with here as (
                 select category.slug,
                        case when own.slug is null then category.gcid else own.gcid end as gcid
                   from platform_category category
                   left join regional_mapping own on own.slug = category.slug and own.region_code = $1
             ),
             affected as (
                 select here.slug, here.gcid, bool_or(known.until_version is null) filter (where known.gcid is not null)
                            as is_listed
                   from here
                   left join taxonomy_category known
                     on known.region_code = $1
                    and known.language_code = $2
                    and known.gcid = here.gcid
                  where here.gcid is not null
                  group by here.slug, here.gcid
                 having bool_or(known.until_version is null and known.gcid is not null) is not true
                     or here.gcid = any ($3)
             )
             select slug, gcid, is_listed, count(*) over () as mapping_count,
                    (select count(*)
                       from tenant_category chosen
                       join tenant on tenant.id = chosen.tenant_id
                      where chosen.slug = affected.slug
                        and tenant.region_code = $1) as tenants
               from affected
              order by slug
              limit $4",
        )
        .bind(locale.region.as_str())
        .bind(locale.language.as_str())
        .bind(&renamed)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        let Some(mapping_count) = rows.first().map(|row| row.mapping_count) else { return Ok(Affected::default()) };
        let tenants: Vec<(String, i64)> = sqlx::query_as(
            "with affected as (
                 select category.slug
                   from platform_category category
                   left join regional_mapping own on own.slug = category.slug and own.region_code = $1
                  cross join lateral (select case when own.slug is null then category.gcid else own.gcid end as gcid) here
                  where here.gcid is not null
                    and (here.gcid = any ($3)
                          or not exists (select from taxonomy_category listed
                                          where listed.region_code = $1 and listed.language_code = $2
                                            and listed.gcid = here.gcid and listed.until_version is null))
             )
             select tenant.id, count(*) over ()
               from tenant
              where tenant.region_code = $1
                and exists (select from tenant_category chosen
                             where chosen.tenant_id = tenant.id
                               and chosen.slug in (select slug from affected))
              order by tenant.id
              limit $4",
        )
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

/// Says of each tenant that wants what Google has no more that this is the cause, and has the next run look again at those that may want
/// nothing of the kind any longer. What runs would find out one by one is known of all of them now.
pub(in crate::store) async fn mark_tenants(
    connection: &mut Connection,
    now: StatementTime,
    new: &NewTaxonomy<'_>,
) -> Result<(), sqlx::Error> {
    let gcids = |categories: &[GbpCategory]| categories.iter().map(|it| it.gcid.to_string()).collect::<Vec<_>>();
    if !new.diff.retired().is_empty() {
        sqlx::query(
            "with concerned as (
                 select distinct chosen.tenant_id
                   from platform_category category
                   left join regional_mapping own on own.slug = category.slug and own.region_code = $1
                   join tenant_category chosen on chosen.slug = category.slug
                   join tenant on tenant.id = chosen.tenant_id and tenant.region_code = $1
                  where case when own.slug is null then category.gcid else own.gcid end = any ($2)
             ), locked as (
                 select tenant_id
                   from tenant_sync
                  where tenant_id in (select tenant_id from concerned) and cause not in ('unknown', 'category_retired')
                  order by tenant_id
                    for no key update
             )
             update tenant_sync
                set cause = 'category_retired', cause_at = coalesce($3, now()), digest = null
               from locked
              where tenant_sync.tenant_id = locked.tenant_id",
        )
        .bind(new.locale.region.as_str())
        .bind(gcids(new.diff.retired()))
        .bind(now)
        .execute(&mut *connection)
        .await?;
    }
    if !new.diff.added().is_empty() {
        sqlx::query(
            "update tenant_sync
                set digest = null
               from tenant
              where cause = 'category_retired' and tenant.id = tenant_id and tenant.region_code = $1",
        )
        .bind(new.locale.region.as_str())
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
            None => Effect::Unlisted,
            Some(false) => Effect::Retired,
            Some(true) => Effect::Renamed,
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
