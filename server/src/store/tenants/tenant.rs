//! Tenants.

use std::collections::HashMap;

use sqlx::{FromRow, Row, postgres::PgRow};

use crate::{
    domain::{AccountId, FailureReason, LocationId, OrganizationId, Run, Tenant, TenantChange, TenantId},
    error::{Error, Resource},
    store::{
        connections::Connection,
        error::{OnConstraint, tenant_not_found},
        handle::Store,
        row::{id, optional_id},
        runs::live_run::{in_progress, kind, live_run},
        statement::StatementTime,
    },
};

/// The columns of `tenant`, as [`TenantRow`] reads them.
macro_rules! tenant_columns {
    () => {
        "id, display_name, organization_id, gbp_account, gbp_location, region_code, language_code, created_at, updated_at"
    };
}

impl Store {
    /// Creates a tenant, with the statement's time.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`], [`Error::LocationTaken`], [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn insert_tenant(&self, now: StatementTime, tenant: &Tenant) -> Result<Tenant, Error> {
        let row = sqlx::query_as::<_, TenantRow>(concat!(
            "insert into tenant (id, display_name, organization_id, gbp_account, gbp_location,
                                 region_code, language_code, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, coalesce($8, now()), coalesce($8, now()))
             returning ",
            tenant_columns!()
        ))
        .bind(tenant.id.as_str())
        .bind(&tenant.display_name)
        .bind(tenant.organization.as_ref().map(OrganizationId::as_str))
        .bind(tenant.account.as_ref().map(AccountId::as_str))
        .bind(tenant.location.as_ref().map(LocationId::as_str))
        .bind(&tenant.region_code)
        .bind(&tenant.language_code)
        .bind(now)
        .fetch_one(&self.pool)
        .await;
        match row {
            Err(error) if error.as_database_error().is_some_and(|e| e.constraint() == Some("tenant_pkey")) => {
                Err(Error::AlreadyExists(Resource::Tenant, tenant.id.resource_name()))
            }
            row => Ok(row.on_constraint("tenant_location_is_unique", || taken(tenant.location.as_ref()))?.0),
        }
    }

    /// Gets a tenant.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn tenant(&self, tenant: &TenantId) -> Result<Tenant, Error> {
        sqlx::query_as::<_, TenantRow>(concat!("select ", tenant_columns!(), " from tenant where id = $1"))
            .bind(tenant.as_str())
            .fetch_optional(&self.pool)
            .await?
            .map(|row| row.0)
            .ok_or_else(|| tenant_not_found(tenant))
    }

    /// Lists tenants by id, after `after`, at most `limit`; `visible_tenants` limits them to what a caller may see.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn tenants(
        &self,
        organization: Option<&OrganizationId>,
        visible_tenants: Option<&[TenantId]>,
        after: &str,
        limit: i64,
    ) -> Result<Vec<Tenant>, Error> {
        let rows = sqlx::query_as::<_, TenantRow>(concat!(
            "select ",
            tenant_columns!(),
            " from tenant
              where id > $1
                and ($2::text is null or organization_id = $2)
                and ($3::text[] is null or id = any ($3))
              order by id
              limit $4"
        ))
        .bind(after)
        .bind(organization.map(OrganizationId::as_str))
        .bind(visible_tenants.map(|visible_tenants| visible_tenants.iter().map(TenantId::as_str).collect::<Vec<_>>()))
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| row.0).collect())
    }

    /// Gets the organizations of tenants. One that is missing has none, or does not exist.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn organizations(&self, tenants: &[&TenantId]) -> Result<HashMap<TenantId, OrganizationId>, Error> {
        let rows = sqlx::query(
            "select id, organization_id from tenant where tenant.id = any ($1) and organization_id is not null",
        )
        .bind(tenants.iter().map(|tenant| tenant.as_str()).collect::<Vec<_>>())
        .fetch_all(&self.pool)
        .await?;
        let pair = |row: &PgRow| {
            Ok::<_, sqlx::Error>((id(row, "id", TenantId::parse)?, id(row, "organization_id", OrganizationId::parse)?))
        };
        Ok(rows.iter().map(pair).collect::<Result<_, _>>()?)
    }

    /// Changes a tenant. One with an unsettled write keeps its location and account: the write may still reach the
    /// location, which must not be another tenant's by then, and only that location tells what became of it. So does
    /// one with a live run that executes a decision, or overrides guards: what a person has seen of one location is not
    /// to be done to another. Any other live run that has not begun to write is fenced by [`Store::begin_write`]
    /// instead, and begins anew.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::LocationTaken`], [`Error::RunInProgress`] for another location or account while
    /// there is such a run, [`Error::DatabaseUnavailable`] or [`Error::Internal`]; nothing is changed.
    pub async fn update_tenant(
        &self,
        now: StatementTime,
        tenant: &TenantId,
        change: &TenantChange,
    ) -> Result<Tenant, Error> {
        let mut transaction = self.pool.begin().await?;
        if let Some(account_and_location) = &change.account_and_location {
            refuse_move(&mut transaction, tenant, account_and_location.as_ref()).await?;
        }
        let changed = change_tenant(&mut transaction, now, tenant, change).await?;
        transaction.commit().await?;
        Ok(changed)
    }

    /// Deletes a tenant and its categories; its runs stay.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::RunInProgress`] while a run of it is live, [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn delete_tenant(&self, tenant: &TenantId) -> Result<(), Error> {
        let mut transaction = self.pool.begin().await?;
        // Accepting a run locks nothing, so a run accepted between the check and the deletion fails with TENANT_NOT_FOUND.
        sqlx::query("select 1 from tenant where id = $1 for update")
            .bind(tenant.as_str())
            .fetch_optional(&mut *transaction)
            .await?
            .ok_or_else(|| tenant_not_found(tenant))?;
        if let Some(live) = live_run(&mut transaction, tenant).await? {
            return Err(in_progress(&live));
        }
        sqlx::query("delete from tenant where id = $1").bind(tenant.as_str()).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(())
    }
}

/// Locks a tenant, and refuses to move it while a live run has an unsettled write at the location that it has, or was asked for by somebody
/// who had seen that location.
async fn refuse_move(
    connection: &mut Connection,
    tenant: &TenantId,
    account_and_location: Option<&(AccountId, LocationId)>,
) -> Result<(), Error> {
    let stays: bool = sqlx::query_scalar(
        "select gbp_account is not distinct from $2 and gbp_location is not distinct from $3
           from tenant where id = $1 for update",
    )
    .bind(tenant.as_str())
    .bind(account_and_location.map(|(account, _)| account.as_str()))
    .bind(account_and_location.map(|(_, location)| location.as_str()))
    .fetch_optional(&mut *connection)
    .await?
    .ok_or_else(|| tenant_not_found(tenant))?;
    // In a statement of its own, which sees every write that began before the lock was there; later ones wait for it.
    let live = if stays { None } else { live_run(connection, tenant).await? };
    match live.filter(|live| live.write_intent.is_some() || live.options.is_about_a_location()) {
        Some(writing) if writing.write_intent.is_some() => Err(unsettled(&writing)),
        Some(seen) => Err(in_progress(&seen)),
        None => Ok(()),
    }
}

/// Returns the error of a move from a location where a write is unsettled.
fn unsettled(run: &Run) -> Error {
    let rejected = FailureReason::CredentialsRejected.as_str();
    let waits_for_credentials = run.error.as_ref().is_some_and(|error| error.reason == rejected);
    Error::UnsettledWrite { run: run.resource_name(), kind: kind(run), waits_for_credentials }
}

async fn change_tenant(
    connection: &mut Connection,
    now: StatementTime,
    tenant: &TenantId,
    change: &TenantChange,
) -> Result<Tenant, Error> {
    let organization = change.organization.as_ref();
    let account_and_location = change.account_and_location.as_ref();
    let location = account_and_location.and_then(Option::as_ref).map(|(_, location)| location);
    sqlx::query_as::<_, TenantRow>(concat!(
        "update tenant
                set display_name = coalesce($2, display_name),
                    organization_id = case when $3 then $4 else organization_id end,
                    gbp_account = case when $5 then $6 else gbp_account end,
                    gbp_location = case when $5 then $7 else gbp_location end,
                    region_code = coalesce($8, region_code),
                    language_code = coalesce($9, language_code),
                    updated_at = coalesce($10, now())
              where id = $1
             returning ",
        tenant_columns!()
    ))
    .bind(tenant.as_str())
    .bind(change.display_name.as_deref())
    .bind(organization.is_some())
    .bind(organization.and_then(Option::as_ref).map(OrganizationId::as_str))
    .bind(account_and_location.is_some())
    .bind(account_and_location.and_then(Option::as_ref).map(|(account, _)| account.as_str()))
    .bind(location.map(LocationId::as_str))
    .bind(change.region_code.as_deref())
    .bind(change.language_code.as_deref())
    .bind(now)
    .fetch_optional(connection)
    .await
    .on_constraint("tenant_location_is_unique", || taken(location))?
    .map(|row| row.0)
    .ok_or_else(|| tenant_not_found(tenant))
}

/// A row of `tenant`.
pub(in crate::store) struct TenantRow(pub(in crate::store) Tenant);

impl FromRow<'_, PgRow> for TenantRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self(Tenant {
            id: id(row, "id", TenantId::parse)?,
            display_name: row.try_get("display_name")?,
            organization: optional_id(row, "organization_id", OrganizationId::parse)?,
            account: optional_id(row, "gbp_account", AccountId::parse)?,
            location: optional_id(row, "gbp_location", LocationId::parse)?,
            region_code: row.try_get("region_code")?,
            language_code: row.try_get("language_code")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
        }))
    }
}

fn taken(location: Option<&LocationId>) -> Error {
    Error::LocationTaken(location.map(ToString::to_string).unwrap_or_default())
}
