//! Feature flags, and their changes.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use sqlx::{FromRow, Row, postgres::PgRow, types::Json};

use super::{
    connections::ConnectionPool,
    handle::Store,
    row::{decode, text},
    statement::StatementTime,
};
use crate::{
    domain::{Flag, FlagChange, FlagSetting, FlagState, InvalidId, OrganizationId, Rollout, TenantId},
    error::Error,
};

/// The columns of `flag` that a setting is read from.
macro_rules! setting_columns {
    () => {
        "state, rollout_basis_points, tenants, organizations, excluded_tenants, excluded_organizations, revision, updated_at"
    };
}

/// A requested change of a flag.
#[derive(Debug, Clone)]
pub struct FlagUpdate<'a> {
    /// The flag to change.
    pub flag: Flag,
    /// The setting that the change is based on; `None`: the flag had not been set.
    pub before: Option<&'a FlagSetting>,
    /// The new rollout.
    pub after: &'a Rollout,
    /// The authenticated subject of the caller.
    pub caller: &'a str,
    /// The caller's reason.
    pub reason: &'a str,
}

impl Store {
    /// Gets every flag that has been set, for a caller. Flags that only a newer version knows are left out.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn flags(&self) -> Result<HashMap<Flag, FlagSetting>, Error> {
        self.flags_over(&self.pool).await
    }

    /// Gets the same for the process itself, over a connection that no call uses: calls, however many there are, must not delay the read
    /// that finds a feature switched off.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn flags_for_safety(&self) -> Result<HashMap<Flag, FlagSetting>, Error> {
        self.flags_over(&self.flag_pool).await
    }

    async fn flags_over(&self, connections: &ConnectionPool) -> Result<HashMap<Flag, FlagSetting>, Error> {
        let rows =
            sqlx::query(concat!("select name, ", setting_columns!(), " from flag")).fetch_all(connections).await?;
        let mut flags = HashMap::new();
        for row in rows {
            if let Some(flag) = Flag::from_text(row.try_get("name")?) {
                flags.insert(flag, SettingRow::from_row(&row)?.0);
            }
        }
        Ok(flags)
    }

    /// Gets a flag; `None`: it has not been set.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn flag(&self, flag: Flag) -> Result<Option<FlagSetting>, Error> {
        let row = sqlx::query_as::<_, SettingRow>(concat!("select ", setting_columns!(), " from flag where name = $1"))
            .bind(flag.as_str());
        Ok(row.fetch_optional(&self.pool).await?.map(|row| row.0))
    }

    /// Changes a flag and records the change, both or neither. `None`: the flag is no longer as the change assumes, and nothing
    /// was changed.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn update_flag(&self, now: StatementTime, update: &FlagUpdate<'_>) -> Result<Option<FlagSetting>, Error> {
        let after = update.after;
        let changed: Option<(i64, DateTime<Utc>)> = sqlx::query_as(
            "with changed as (
                 insert into flag (name, state, rollout_basis_points, tenants, organizations, excluded_tenants, excluded_organizations,
                                   revision, updated_at)
                 values ($1, $2, $3, $4, $5, $6, $7, 1, coalesce($8, now()))
                 on conflict (name) do update
                    set state = excluded.state, rollout_basis_points = excluded.rollout_basis_points,
                        tenants = excluded.tenants, organizations = excluded.organizations,
                        excluded_tenants = excluded.excluded_tenants,
                        excluded_organizations = excluded.excluded_organizations,
                        revision = flag.revision + 1, updated_at = excluded.updated_at
                  where flag.revision = $9
                 returning revision, updated_at
             )
             insert into flag_change (flag, revision, before, after, caller, reason, changed_at)
             select $1, revision, $10, $11, $12, $13, updated_at
               from changed
             returning revision, changed_at",
        )
        .bind(update.flag.as_str())
        .bind(after.state.as_str())
        .bind(i32::from(after.percent))
        .bind(after.tenants.iter().map(TenantId::as_str).collect::<Vec<_>>())
        .bind(after.organizations.iter().map(OrganizationId::as_str).collect::<Vec<_>>())
        .bind(after.excluded_tenants.iter().map(TenantId::as_str).collect::<Vec<_>>())
        .bind(after.excluded_organizations.iter().map(OrganizationId::as_str).collect::<Vec<_>>())
        .bind(now)
        .bind(update.before.map(|before| before.revision))
        .bind(update.before.map(|before| Json(&before.rollout)))
        .bind(Json(after))
        .bind(update.caller)
        .bind(update.reason)
        .fetch_optional(&self.pool)
        .await?;
        Ok(changed.map(|(revision, updated_at)| FlagSetting { rollout: after.clone(), revision, updated_at }))
    }

    /// Lists changes, newest first, older than `before`, at most `limit`; those of one flag, or of all.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn flag_changes(
        &self,
        flag: Option<Flag>,
        before: Option<i64>,
        limit: i64,
    ) -> Result<Vec<FlagChange>, Error> {
        let rows = sqlx::query_as::<_, ChangeRow>(
            "select id, flag, revision, before, after, caller, reason, changed_at from flag_change
              where flag = any ($1)
                and ($2::bigint is null or id < $2)
              order by id desc
              limit $3",
        )
        .bind(
            Flag::ALL
                .iter()
                .filter(|known| flag.is_none_or(|flag| flag == **known))
                .map(|f| f.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(before)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| row.0).collect())
    }
}

struct SettingRow(FlagSetting);

impl FromRow<'_, PgRow> for SettingRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let percent: i32 = row.try_get("rollout_basis_points")?;
        let rollout = Rollout {
            state: text(row, "state", FlagState::from_text)?,
            percent: percent.try_into().map_err(|error: &str| decode("rollout_basis_points", error))?,
            tenants: ids(row, "tenants", TenantId::parse)?,
            organizations: ids(row, "organizations", OrganizationId::parse)?,
            excluded_tenants: ids(row, "excluded_tenants", TenantId::parse)?,
            excluded_organizations: ids(row, "excluded_organizations", OrganizationId::parse)?,
        };
        Ok(Self(FlagSetting { rollout, revision: row.try_get("revision")?, updated_at: row.try_get("updated_at")? }))
    }
}

fn ids<T: Ord>(row: &PgRow, column: &str, parse: fn(&str) -> Result<T, InvalidId>) -> Result<BTreeSet<T>, sqlx::Error> {
    let texts: Vec<String> = row.try_get(column)?;
    texts.iter().map(|text| parse(text)).collect::<Result<_, _>>().map_err(|error| decode(column, error))
}

struct ChangeRow(FlagChange);

impl FromRow<'_, PgRow> for ChangeRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self(FlagChange {
            id: row.try_get("id")?,
            flag: text(row, "flag", Flag::from_text)?,
            revision: row.try_get("revision")?,
            before: row.try_get::<Option<Json<_>>, _>("before")?.map(|json| json.0),
            after: row.try_get::<Json<_>, _>("after")?.0,
            caller: row.try_get("caller")?,
            reason: row.try_get("reason")?,
            changed_at: row.try_get("changed_at")?,
        }))
    }
}
