//! Creating and changing many platform categories at once.

use std::collections::HashMap;

use super::tenants::ImportResult;
use crate::{
    domain::{NewCategory, RegionalMapping, Slug},
    error::Error,
    store::{
        catalog::platform_category::{EntryRow, category_columns, delete_regional, insert_regional},
        handle::Store,
        statement::StatementTime,
    },
};

impl Store {
    /// Creates or changes platform categories, each listed once, in one transaction. `validate_only` rolls it back.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`]; nothing is changed.
    pub async fn import_categories(
        &self,
        now: StatementTime,
        wanted: &[NewCategory],
        validate_only: bool,
    ) -> Result<ImportResult, Error> {
        let slugs: Vec<&str> = wanted.iter().map(|it| it.slug.as_str()).collect();
        let mut transaction = self.pool.begin().await?;
        sqlx::query("select 1 from platform_category where slug = any ($1) order by slug for update")
            .bind(&slugs)
            .execute(&mut *transaction)
            .await?;
        // Only now, when the locks keep others from changing them.
        let before = sqlx::query_as::<_, EntryRow>(
            concat!("select ", category_columns!(), ",
                    (select jsonb_object_agg(region_code, own.gcid) from regional_mapping own where own.slug = category.slug) as regional
               from platform_category category
              where slug = any ($1)"),
        )
        .bind(&slugs)
        .fetch_all(&mut *transaction)
        .await?;
        let before: HashMap<Slug, RegionalMapping> =
            before.into_iter().map(|row| (row.0.category.slug, row.0.regional)).collect();
        let moved: Vec<&NewCategory> =
            wanted.iter().filter(|it| !it.regional.is_empty() && before.get(&it.slug) != Some(&it.regional)).collect();
        let written: Vec<(String, bool)> = sqlx::query_as(
            "insert into platform_category as present (slug, display_name, gcid, created_at, updated_at)
             select slug, display_name, gcid, coalesce($4, now()), coalesce($4, now())
               from unnest($1::text[], $2::text[], $3::text[]) as wanted (slug, display_name, gcid)
              order by slug
                 on conflict (slug) do update
                set display_name = excluded.display_name,
                    gcid = coalesce(excluded.gcid, present.gcid),
                    -- What a person has named or mapped is the platform's own, even if nothing else of it changes.
                    imported_locale = null,
                    updated_at = excluded.updated_at
              where normalize(present.display_name) <> excluded.display_name
                 or present.gcid is distinct from coalesce(excluded.gcid, present.gcid)
                 or present.imported_locale is not null
                 or present.slug = any ($5)
             returning slug, xmax = 0",
        )
        .bind(&slugs)
        .bind(wanted.iter().map(|it| it.display_name.as_str()).collect::<Vec<_>>())
        .bind(wanted.iter().map(|it| it.gcid.as_ref().map(ToString::to_string)).collect::<Vec<_>>())
        .bind(now)
        .bind(moved.iter().map(|it| it.slug.as_str()).collect::<Vec<_>>())
        .fetch_all(&mut *transaction)
        .await?;
        delete_regional(&mut transaction, &moved.iter().map(|it| &it.slug).collect::<Vec<_>>()).await?;
        insert_regional(&mut transaction, &moved.iter().map(|it| (&it.slug, &it.regional)).collect::<Vec<_>>()).await?;
        if validate_only {
            transaction.rollback().await?;
        } else {
            transaction.commit().await?;
        }
        let created = written.iter().filter(|(_, is_new)| *is_new).count();
        Ok(ImportResult {
            created,
            updated: written.len() - created,
            unchanged: wanted.len() - written.len(),
            refused: Vec::new(),
        })
    }
}
