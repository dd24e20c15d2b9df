//! The platform's side of runs: one statement reads it for many runs, in one snapshot.

use std::{collections::HashMap, iter::zip};

use chrono::{DateTime, Utc};
use sqlx::{FromRow, Row, postgres::PgRow};

use super::tenant::TenantRow;
use crate::{
    domain::{Complete, Gcid, PlatformCategory, Run, RunId, Slug, Strategy, Tenant},
    error::Error,
    store::{
        credentials::rejection::{CredentialsVersion, version},
        handle::Store,
        row::decode,
        runs::observation::LastObservation,
        statement::StatementTime,
    },
};

/// The platform's side of a run: complete, or an error.
#[derive(Debug, Clone)]
pub struct TenantSnapshot {
    /// The tenant.
    pub tenant: Tenant,
    /// The version of its account's own credentials; `None`: it has none and uses the server's.
    pub credentials: Option<CredentialsVersion>,
    /// Its categories with their mappings in its region, the primary one first. Empty: it has none.
    pub categories: Complete<Vec<PlatformCategory>>,
    /// When a real run of the same tenant, strategy and location last succeeded.
    pub last_success_at: Option<DateTime<Utc>>,
    /// The last observation of its location. `None`: none is recorded.
    pub last_observation: Option<LastObservation>,
    /// The time of the read, by the statement's clock.
    pub read_at: DateTime<Utc>,
}

impl Store {
    /// Reads the platform's side of runs, each row by its key, however many tenants and categories there are. One that
    /// is missing from the answer has a tenant that is gone.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`], for all of the runs.
    pub async fn tenant_snapshots(
        &self,
        now: StatementTime,
        runs: &[&Run],
    ) -> Result<HashMap<RunId, TenantSnapshot>, Error> {
        let statement = sqlx::query_as(include_str!("tenant_snapshots.sql"))
            .bind(now)
            .bind(runs.iter().map(|run| run.id).collect::<Vec<_>>())
            .bind(runs.iter().map(|run| run.tenant.as_str()).collect::<Vec<_>>())
            .bind(runs.iter().map(|run| Strategy::as_str(run.kind.strategy)).collect::<Vec<_>>());
        let rows = statement.fetch_all(&self.queue_pool).await?;
        Ok(rows.into_iter().map(|TenantSnapshotRow(id, source)| (id, source)).collect())
    }
}

/// A snapshot with the run that it is for.
struct TenantSnapshotRow(RunId, TenantSnapshot);

impl FromRow<'_, PgRow> for TenantSnapshotRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let source = TenantSnapshot {
            tenant: TenantRow::from_row(row)?.0,
            credentials: if row.try_get::<Option<i64>, _>("revision")?.is_some() { Some(version(row)?) } else { None },
            // One statement gave them all, or an error.
            categories: Complete::read(categories(row)?),
            last_success_at: row.try_get("last_success_at")?,
            last_observation: match row.try_get("matches_baseline")? {
                Some(matches_baseline) => Some(LastObservation {
                    digest: row.try_get("digest")?,
                    matches_baseline,
                    failed: row.try_get("failed")?,
                }),
                None => None,
            },
            read_at: row.try_get("read_at")?,
        };
        Ok(Self(row.try_get("run_id")?, source))
    }
}

/// Reads the tenant's categories from a row, where each of their columns is an array.
fn categories(row: &PgRow) -> Result<Vec<PlatformCategory>, sqlx::Error> {
    let Some(slugs) = row.try_get::<Option<Vec<String>>, _>("slugs")? else { return Ok(Vec::new()) };
    let names = zip(slugs, row.try_get::<Vec<String>, _>("names")?);
    let origins =
        zip(row.try_get::<Vec<Option<String>>, _>("gcids")?, row.try_get::<Vec<Option<String>>, _>("locales")?);
    let times = zip(row.try_get::<Vec<_>, _>("created")?, row.try_get::<Vec<_>, _>("updated")?);
    zip(names, zip(origins, times))
        .map(|((slug, display_name), ((gcid, imported_locale), (created_at, updated_at)))| {
            let slug = Slug::parse(&slug).map_err(|error| decode("slugs", error))?;
            let gcid = gcid.as_deref().map(Gcid::parse).transpose().map_err(|error| decode("gcids", error))?;
            Ok(PlatformCategory { slug, display_name, gcid, imported_locale, created_at, updated_at })
        })
        .collect()
}
