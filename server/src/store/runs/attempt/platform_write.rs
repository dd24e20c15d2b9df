//! What `gbp_to_platform` writes to the platform, and the record of it in the run: in one transaction.

use sqlx::types::Json;

use super::progress::AttemptProgress;
use crate::{
    domain::{
        AccountId, Category, LocationId, Plan, PlanSource, PlatformCatalog, PlatformCategory, PlatformWriteCapability,
        Tenant, TenantCategory, TenantId, text::is_same_name,
    },
    error::Error,
    store::{
        catalog::platform_category::CategoryRow, connections::Connection, handle::Store, runs::queue::lease::LeaseKey,
        statement::StatementTime,
    },
};

/// The result of a write to the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlatformWriteResult {
    /// It is durable, and so is the record of it in the run.
    Written,
    /// The run's cancellation was requested.
    Cancelled,
    /// The fencing token is no longer current.
    LeaseLost,
    /// The platform is no longer what the plan was made from, or the tenant has another location.
    TargetChanged,
    /// A request has joined the run since the attempt read its source.
    Superseded,
}

impl Store {
    /// Executes a plan for a tenant's categories and records it in the run: both or neither. `progress` is what is then known of the
    /// run, the changes of this plan among what was written. Only what differs is touched. Only a run whose target this is may, and only
    /// while `tenant` is bound to the location that the plan was made from.
    ///
    /// ```
    /// # use category_mirror::{domain::{Plan, PlatformWriteCapability, Tenant, TenantCategory}, store::{AttemptProgress, LeaseKey, Store}};
    /// # async fn write(store: &Store, held: LeaseKey, of: &Tenant, plan: &Plan<TenantCategory>, progress: &AttemptProgress,
    /// #     capability: PlatformWriteCapability) {
    /// let _ = store.write_platform(None, held, of, plan, progress, capability).await;
    /// # }
    /// ```
    ///
    /// The capability to write to Google does not suffice.
    ///
    /// ```compile_fail,E0308
    /// # use category_mirror::{domain::{GbpWriteCapability, Plan, Tenant, TenantCategory}, store::{AttemptProgress, LeaseKey, Store}};
    /// # async fn write(store: &Store, held: LeaseKey, of: &Tenant, plan: &Plan<TenantCategory>, progress: &AttemptProgress,
    /// #     capability: GbpWriteCapability) {
    /// let _ = store.write_platform(None, held, of, plan, progress, capability).await;
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn write_platform(
        &self,
        now: StatementTime,
        held: LeaseKey,
        tenant: &Tenant,
        plan: &Plan<TenantCategory>,
        progress: &AttemptProgress,
        _: PlatformWriteCapability,
    ) -> Result<PlatformWriteResult, Error> {
        let mut transaction = self.pool.begin().await?;
        // Locks the tenant first, as everything does that changes its categories.
        let touched = sqlx::query(
            "update tenant set categories_updated_at = coalesce($2, now())
              where id = $1 and gbp_location is not distinct from $3 and gbp_account is not distinct from $4
             returning 1",
        )
        .bind(tenant.id.as_str())
        .bind(now)
        .bind(tenant.location.as_ref().map(LocationId::as_str))
        .bind(tenant.account.as_ref().map(AccountId::as_str))
        .fetch_optional(&mut *transaction)
        .await?;
        if touched.is_none() || !import(&mut transaction, now, &tenant.id, plan).await? {
            return Ok(PlatformWriteResult::TargetChanged);
        }
        let before = chosen(&mut transaction, &tenant.id).await?;
        if !is_observed(plan, &before) {
            return Ok(PlatformWriteResult::TargetChanged);
        }
        replace(&mut transaction, &tenant.id, &in_order(plan, &before)).await?;
        let row: Option<(bool,)> = sqlx::query_as(
            "update run
                set plan = $4, written = $5, observation = $6, revision = revision + 1
              where id = $2 and fencing_token = $3 and state = 'running' and lease_expires_at > coalesce($1, now())
                and (joined_at is null or $7::timestamptz is null or joined_at < $7)
             returning cancel_requested",
        )
        .bind(now)
        .bind(held.id)
        .bind(held.fencing_token)
        .bind(progress.plan.as_ref().map(Json))
        .bind(Json(&progress.written))
        .bind(progress.observation.as_ref().map(Json))
        .bind(progress.read_at)
        .fetch_optional(&mut *transaction)
        .await?;
        match row {
            None => {
                transaction.rollback().await?;
                let superseded = self.is_superseded(held, progress.read_at).await?;
                Ok(if superseded { PlatformWriteResult::Superseded } else { PlatformWriteResult::LeaseLost })
            }
            Some((true,)) => Ok(PlatformWriteResult::Cancelled),
            Some((false,)) => {
                transaction.commit().await?;
                Ok(PlatformWriteResult::Written)
            }
        }
    }
}

/// Adds the categories that the platform does not have yet, names anew those that Google has renamed, and holds all of the plan until the
/// commit. Returns whether each of them is what the plan takes it for, in the tenant's region.
async fn import(
    connection: &mut Connection,
    now: StatementTime,
    tenant: &TenantId,
    plan: &Plan<TenantCategory>,
) -> Result<bool, Error> {
    // One that maps to nothing in this region is only kept: it is not added, and has no name of Google's to follow.
    let is_imported = |category: &&TenantCategory| category.imported_locale.is_some() && category.gcid.is_some();
    let imported: Vec<&TenantCategory> = plan.desired.iter().filter(is_imported).collect();
    add_missing(connection, now, &imported).await?;
    // Exclusively what may be renamed, and in the order of slugs, as every run does: two that share categories wait for one another once.
    sqlx::query("select 1 from platform_category where slug = any ($1) order by slug for no key update")
        .bind(slugs(&imported))
        .execute(&mut *connection)
        .await?;
    let desired: Vec<&TenantCategory> = plan.desired.iter().collect();
    sqlx::query("select 1 from platform_category where slug = any ($1) order by slug for share")
        .bind(slugs(&desired))
        .execute(&mut *connection)
        .await?;
    // Only now, when the locks keep others from changing them: a change of a regional mapping locks its category first.
    follow_names(connection, now, tenant, &imported).await?;
    let known = sqlx::query_as::<_, CategoryRow>(
        "select category.slug, category.display_name, category.gcid, category.imported_locale, category.created_at, category.updated_at
           from tenant
          cross join lateral categories_in_region(tenant.region_code) as category
          where tenant.id = $1 and category.slug = any ($2)",
    )
    .bind(tenant.as_str())
    .bind(slugs(&desired))
    .fetch_all(connection)
    .await?;
    // What a run brings back is what it was, whatever it maps to today.
    let goes_back = matches!(plan.from, PlanSource::Before(_));
    let is_as_planned = |wanted: &TenantCategory, known: &PlatformCategory| {
        known.gcid == wanted.gcid
            && known.imported_locale == wanted.imported_locale
            && (wanted.imported_locale.is_none() || is_same_name(&known.display_name, &wanted.display_name))
    };
    let is_known = |wanted: &&TenantCategory| {
        known.iter().any(|CategoryRow(known)| known.slug == wanted.slug && (goes_back || is_as_planned(wanted, known)))
    };
    Ok(desired.iter().all(is_known))
}

async fn add_missing(
    connection: &mut Connection,
    now: StatementTime,
    imported: &[&TenantCategory],
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into platform_category (slug, display_name, gcid, imported_locale, created_at, updated_at)
         select slug, display_name, gcid, locale, coalesce($1, now()), coalesce($1, now())
           from unnest($2::text[], $3::text[], $4::text[], $5::text[]) as wanted (slug, display_name, gcid, locale)
          order by slug
         on conflict (slug) do nothing",
    )
    .bind(now)
    .bind(slugs(imported))
    .bind(imported.iter().map(|category| category.display_name.as_str()).collect::<Vec<_>>())
    .bind(imported.iter().map(|category| category.gcid.as_ref().map(ToString::to_string)).collect::<Vec<_>>())
    .bind(imported.iter().map(|category| category.imported_locale.as_deref()).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// Gives imported categories Google's name of what they map to in the tenant's region. What is the platform's own by now is left alone.
async fn follow_names(
    connection: &mut Connection,
    now: StatementTime,
    tenant: &TenantId,
    imported: &[&TenantCategory],
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update platform_category known
            set display_name = wanted.display_name, updated_at = coalesce($1, now())
           from unnest($3::text[], $4::text[], $5::text[], $6::text[]) as wanted (slug, display_name, gcid, locale)
           join tenant on tenant.id = $2
          cross join lateral (select gcid from categories_in_region(tenant.region_code) where slug = wanted.slug limit 1) as mapped
          where known.slug = wanted.slug
            and known.imported_locale = wanted.locale
            and normalize(known.display_name) <> normalize(wanted.display_name)
            and mapped.gcid = wanted.gcid",
    )
    .bind(now)
    .bind(tenant.as_str())
    .bind(slugs(imported))
    .bind(imported.iter().map(|category| category.display_name.as_str()).collect::<Vec<_>>())
    .bind(imported.iter().map(|category| category.gcid.as_ref().map(ToString::to_string)).collect::<Vec<_>>())
    .bind(imported.iter().map(|category| category.imported_locale.as_deref()).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

fn slugs<'a>(categories: &[&'a TenantCategory]) -> Vec<&'a str> {
    categories.iter().map(|category| category.slug.as_str()).collect()
}

/// What the tenant has, the primary one first.
async fn chosen(connection: &mut Connection, tenant: &TenantId) -> Result<Vec<PlatformCategory>, Error> {
    let rows = sqlx::query_as::<_, CategoryRow>(
        "select category.slug, category.display_name, category.gcid, category.imported_locale, category.created_at, category.updated_at
           from tenant_category chosen
           join tenant on tenant.id = chosen.tenant_id
          cross join lateral (select slug, display_name, gcid, imported_locale, created_at, updated_at
                                from categories_in_region(tenant.region_code)
                               where slug = chosen.slug
                               limit 1) as category
          where chosen.tenant_id = $1
          order by chosen.position",
    )
    .bind(tenant.as_str())
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| row.0).collect())
}

/// Whether the tenant still has the categories that the plan was made from, and each of them its mapping.
fn is_observed(plan: &Plan<TenantCategory>, now: &[PlatformCategory]) -> bool {
    let now = PlatformCatalog { chosen: now.to_vec(), known: Vec::new() }.set();
    let stands_for_the_same = |category: &TenantCategory| {
        let observed = plan.observed.as_ref().and_then(|set| set.get(category));
        observed.is_some_and(|observed| observed.gcid == category.gcid)
    };
    now == plan.observed && now.iter().flat_map(|set| set.iter()).all(stands_for_the_same)
}

/// What the tenant shall have, in the order of what it has: the primary one first, what is new last.
fn in_order<'a>(plan: &'a Plan<TenantCategory>, before: &[PlatformCategory]) -> Vec<&'a str> {
    let mut additional: Vec<&TenantCategory> = plan.desired.additional().iter().collect();
    additional.sort_by_key(|category| before.iter().position(|b| b.slug == category.slug).unwrap_or(usize::MAX));
    std::iter::once(plan.desired.primary()).chain(additional).map(Category::key).collect()
}

/// Makes `slugs` the tenant's categories. Rows that are right already are not touched.
async fn replace(connection: &mut Connection, tenant: &TenantId, slugs: &[&str]) -> Result<(), Error> {
    sqlx::query(
        "delete from tenant_category chosen
          where tenant_id = $1
            and not exists (select from unnest($2::text[]) with ordinality as wanted (slug, position)
                             where wanted.slug = chosen.slug and wanted.position - 1 = chosen.position)",
    )
    .bind(tenant.as_str())
    .bind(slugs)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "insert into tenant_category (tenant_id, position, slug)
         select $1, wanted.position - 1, wanted.slug
           from unnest($2::text[]) with ordinality as wanted (slug, position)
         on conflict (tenant_id, slug) do nothing",
    )
    .bind(tenant.as_str())
    .bind(slugs)
    .execute(connection)
    .await?;
    Ok(())
}
