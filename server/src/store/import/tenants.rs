//! Creating and changing many tenants at once.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::{
    domain::{AccountId, LocationId, NewTenant, OrganizationId, RunId, Slug},
    error::Error,
    store::{connections::Connection, error::OnConstraint, handle::Store, statement::StatementTime},
};

/// The result of an import, or of its validation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportResult {
    /// Items that were created.
    pub created: usize,
    /// Items that existed and were changed.
    pub updated: usize,
    /// Items that existed as wanted.
    pub unchanged: usize,
    /// The other items by position, with all of their rejections.
    pub refused: Vec<(usize, Vec<ImportRejection>)>,
}

/// Why an item is not imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportRejection {
    /// The location belongs to another tenant.
    LocationTaken(LocationId),
    /// The platform does not know the category at this position, the primary one being 0.
    UnknownCategory(usize, Slug),
    /// A live run has an unsettled write at the location that the tenant would leave.
    RunInProgress(RunId),
}

impl Store {
    /// Creates or changes tenants, each listed once: those without a rejection, in one transaction.
    /// `validate_only` rolls it back.
    ///
    /// # Errors
    /// [`Error::LocationTaken`] if a concurrent call takes a location, [`Error::DatabaseUnavailable`] or
    /// [`Error::Internal`]; nothing is changed.
    pub async fn import_tenants(
        &self,
        now: StatementTime,
        wanted: &[NewTenant],
        validate_only: bool,
    ) -> Result<ImportResult, Error> {
        let mut transaction = self.pool.begin().await?;
        let before = lock(&mut transaction, wanted).await?;
        let refused = refused(&mut transaction, wanted).await?;
        // Sets, here and below: 5,000 walks over 5,000 items would block other calls for as long as a statement takes.
        let out: HashSet<usize> = refused.iter().map(|(index, _)| *index).collect();
        let taken: Vec<&NewTenant> =
            wanted.iter().enumerate().filter(|(index, _)| !out.contains(index)).map(|(_, wanted)| wanted).collect();
        let written = upsert(&mut transaction, now, &taken).await?;
        let moved: Vec<&NewTenant> = taken
            .iter()
            .filter(|it| it.categories.as_ref().is_some_and(|set| !same(before.get(it.tenant.id.as_str()), set)))
            .copied()
            .collect();
        replace_categories(&mut transaction, now, &moved).await?;
        let moved: HashSet<&str> = moved.iter().map(|it| it.tenant.id.as_str()).collect();
        let mut imported = ImportResult { refused, ..ImportResult::default() };
        for it in taken {
            let has_moved = moved.contains(it.tenant.id.as_str());
            match written.get(it.tenant.id.as_str()) {
                Some(true) => imported.created += 1,
                Some(false) => imported.updated += 1,
                None if has_moved => imported.updated += 1,
                None => imported.unchanged += 1,
            }
        }
        if validate_only {
            transaction.rollback().await?;
        } else {
            transaction.commit().await?;
        }
        Ok(imported)
    }
}

fn same(before: Option<&Vec<String>>, wanted: &[Slug]) -> bool {
    before.is_some_and(|before| before.iter().map(String::as_str).eq(wanted.iter().map(Slug::as_str)))
}

/// Locks the tenants that exist, in one order for all transactions, and returns their categories.
async fn lock(connection: &mut Connection, wanted: &[NewTenant]) -> Result<HashMap<String, Vec<String>>, Error> {
    let ids: Vec<&str> = wanted.iter().map(|it| it.tenant.id.as_str()).collect();
    sqlx::query("select 1 from tenant where tenant.id = any ($1) order by id for update")
        .bind(&ids)
        .execute(&mut *connection)
        .await?;
    // Only now, when the locks keep others from changing them.
    let rows: Vec<(String, Vec<String>)> = sqlx::query_as(
        "select id, array(select slug from tenant_category where tenant_id = tenant.id order by position)
           from tenant
          where tenant.id = any ($1)",
    )
    .bind(&ids)
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().collect())
}

/// Returns the rejections of the tenants, by position.
async fn refused(
    connection: &mut Connection,
    wanted: &[NewTenant],
) -> Result<Vec<(usize, Vec<ImportRejection>)>, Error> {
    let locations = wanted.iter().filter_map(|it| it.tenant.location.as_ref()).map(LocationId::as_str);
    let owners: Vec<(String, String)> =
        sqlx::query_as("select gbp_location, id from tenant where gbp_location = any ($1)")
            .bind(locations.collect::<Vec<_>>())
            .fetch_all(&mut *connection)
            .await?;
    let owners: HashMap<String, String> = owners.into_iter().collect();
    let slugs: BTreeSet<&str> =
        wanted.iter().filter_map(|it| it.categories.as_ref()).flatten().map(Slug::as_str).collect();
    // Locks the categories against a deletion, in one order for all.
    let known: Vec<String> =
        sqlx::query_scalar("select slug from platform_category where slug = any ($1) order by slug for key share")
            .bind(slugs.into_iter().collect::<Vec<_>>())
            .fetch_all(&mut *connection)
            .await?;
    let known: BTreeSet<String> = known.into_iter().collect();
    let writing = refused_moves(connection, wanted).await?;
    let mut all = Vec::new();
    for (index, NewTenant { tenant, categories }) in wanted.iter().enumerate() {
        let mut refused = Vec::new();
        if let Some(location) = &tenant.location
            && owners.get(location.as_str()).is_some_and(|owner| owner != tenant.id.as_str())
        {
            refused.push(ImportRejection::LocationTaken(location.clone()));
        }
        for (position, slug) in categories.iter().flatten().enumerate() {
            if !known.contains(slug.as_str()) {
                refused.push(ImportRejection::UnknownCategory(position, slug.clone()));
            }
        }
        if let Some(run) = writing.get(tenant.id.as_str()) {
            refused.push(ImportRejection::RunInProgress(*run));
        }
        if !refused.is_empty() {
            all.push((index, refused));
        }
    }
    Ok(all)
}

/// The tenants that would move while a live run of theirs has an unsettled write, or was asked for with their location
/// in view, with the run; see [`Store::update_tenant`]. The tenants are locked already.
async fn refused_moves(
    connection: &mut Connection,
    wanted: &[NewTenant],
) -> Result<HashMap<String, RunId>, sqlx::Error> {
    let tenants = || wanted.iter().map(|it| &it.tenant);
    let rows: Vec<(String, RunId)> = sqlx::query_as(
        "select tenant.id, run.id
           from unnest($1::text[], $2::text[], $3::text[]) as wanted (id, gbp_account, gbp_location)
           join tenant on tenant.id = wanted.id
           join run on run.tenant_id = tenant.id and (run.write_intent is not null or run.options ?| array['decision', 'overridden_guards'])
          where tenant.gbp_account is distinct from coalesce(wanted.gbp_account, tenant.gbp_account)
             or tenant.gbp_location is distinct from coalesce(wanted.gbp_location, tenant.gbp_location)",
    )
    .bind(tenants().map(|tenant| tenant.id.as_str()).collect::<Vec<_>>())
    .bind(tenants().map(|tenant| tenant.account.as_ref().map(AccountId::as_str)).collect::<Vec<_>>())
    .bind(tenants().map(|tenant| tenant.location.as_ref().map(LocationId::as_str)).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().collect())
}

/// Writes the tenants. Returns those that were created (`true`) or changed (`false`).
async fn upsert(
    connection: &mut Connection,
    now: StatementTime,
    wanted: &[&NewTenant],
) -> Result<HashMap<String, bool>, Error> {
    let tenants = || wanted.iter().map(|it| &it.tenant);
    let rows: Vec<(String, bool)> = sqlx::query_as(include_str!("upsert_tenants.sql"))
        .bind(tenants().map(|tenant| tenant.id.as_str()).collect::<Vec<_>>())
        .bind(tenants().map(|tenant| tenant.display_name.as_str()).collect::<Vec<_>>())
        .bind(tenants().map(|tenant| tenant.organization.as_ref().map(OrganizationId::as_str)).collect::<Vec<_>>())
        .bind(tenants().map(|tenant| tenant.account.as_ref().map(AccountId::as_str)).collect::<Vec<_>>())
        .bind(tenants().map(|tenant| tenant.location.as_ref().map(LocationId::as_str)).collect::<Vec<_>>())
        .bind(tenants().map(|tenant| tenant.region_code.as_str()).collect::<Vec<_>>())
        .bind(tenants().map(|tenant| tenant.language_code.as_str()).collect::<Vec<_>>())
        .bind(now)
        .fetch_all(connection)
        .await
        .on_constraint("tenant_location_is_unique", || Error::LocationTaken("of one of the tenants".to_owned()))?;
    Ok(rows.into_iter().collect())
}

async fn replace_categories(
    connection: &mut Connection,
    now: StatementTime,
    wanted: &[&NewTenant],
) -> Result<(), Error> {
    let ids: Vec<&str> = wanted.iter().map(|it| it.tenant.id.as_str()).collect();
    sqlx::query("update tenant set categories_updated_at = coalesce($2, now()) where tenant.id = any ($1)")
        .bind(&ids)
        .bind(now)
        .execute(&mut *connection)
        .await?;
    sqlx::query("delete from tenant_category where tenant_id = any ($1)").bind(&ids).execute(&mut *connection).await?;
    let rows = || {
        wanted.iter().flat_map(|it| {
            let slugs = it.categories.iter().flatten().enumerate();
            slugs.map(|(position, slug)| {
                (it.tenant.id.as_str(), i16::try_from(position).unwrap_or(i16::MAX), slug.as_str())
            })
        })
    };
    sqlx::query(
        "insert into tenant_category (tenant_id, position, slug)
         select tenant_id, position, slug from unnest($1::text[], $2::smallint[], $3::text[]) as wanted (tenant_id, position, slug)",
    )
    .bind(rows().map(|(tenant, ..)| tenant).collect::<Vec<_>>())
    .bind(rows().map(|(_, position, _)| position).collect::<Vec<_>>())
    .bind(rows().map(|(.., slug)| slug).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}
