//! The migrations, embedded in the server. sqlx records in `_sqlx_migrations` which were applied, with their checksums, so that a migration
//! that has changed since is refused. It runs them under an advisory lock, so that two servers can start at once.

use std::time::Duration;

use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection, PgPool, SqlSafeStr};
use tokio::time::sleep;

use super::connections::route::Route;

/// How long a migration waits for a table that is in use. Every later statement on the table waits behind the migration.
const LOCK_TIMEOUT: &str = "set lock_timeout = '3s'";
/// How often that is tried, and after which pause again.
const MAX_LOCK_TRIES: u32 = 20;
const LOCK_RETRY_DELAY: Duration = Duration::from_secs(1);

/// `(version, name, up, down)`, listed by the build script.
const MIGRATIONS: &[(i64, &str, &str, &str)] = include!(concat!(env!("OUT_DIR"), "/migrations.rs"));

/// The newest version that this server knows; 0 where there is none.
#[must_use]
pub fn latest() -> i64 {
    MIGRATIONS.last().map_or(0, |(version, ..)| *version)
}

/// Why the schema is not one that this server can work with.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// The database cannot be reached, or a migration failed and is rolled back.
    #[error(transparent)]
    Failed(#[from] MigrateError),
    /// A newer server has made the schema one that this server does not know.
    #[error(
        "the schema is at version {version}, which requires servers of version {oldest} or newer; this server has version {own}: upgrade it"
    )]
    TooNew {
        /// The schema's version.
        version: i64,
        /// The oldest server that works with it.
        oldest: i64,
        /// This server's newest version.
        own: i64,
    },
    /// The schema has a migration under the same number with other contents; nothing is changed. Migrations never change after a release, so
    /// a build between two releases made the schema.
    #[error(
        "the schema is of a development version, from which there is no upgrade: its migration {version} differs from this server's; \
         recreate it: start with an empty database, or an empty DATA_DIR"
    )]
    Diverged {
        /// The first migration that differs.
        version: i64,
    },
}

impl From<sqlx::Error> for MigrationError {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// Brings the database of a pool up to date, which is reached directly and has its tables in the default schema.
///
/// # Errors
/// As [`migrate_along`].
pub async fn migrate(pool: &PgPool) -> Result<(), MigrationError> {
    migrate_along(&Route::direct(PgConnectOptions::clone(&pool.connect_options()))).await
}

/// Brings the database up to date. One that is newer is left as it is, if it says that this server can work with it: while a version is
/// rolled out, servers of the one before start and start again.
///
/// # Errors
/// When the database cannot be reached, is too new for this server, or a migration fails (and is then rolled back).
pub async fn migrate_along(route: &Route) -> Result<(), MigrationError> {
    // Another server's migration may take longer than any statement of a server may, and so may this one's own. While a table is locked
    // that is used, all statements wait: that wait is kept short instead.
    let patient = [("statement_timeout", "0"), ("idle_in_transaction_session_timeout", "0")];
    let mut connection = route.open(&patient).await?;
    connection.lock().await?;
    let migrated = migrate_locked(&mut connection).await;
    // Ends the lock as well.
    connection.close().await?;
    migrated
}

async fn migrate_locked(connection: &mut PgConnection) -> Result<(), MigrationError> {
    sqlx::raw_sql(LOCK_TIMEOUT).execute(&mut *connection).await?;
    let mut migrator = migrator();
    migrator.set_locking(false);
    // First: the other checks take the numbers of such a schema for this server's.
    if let Some(version) = diverged(connection, &migrator).await? {
        return Err(MigrationError::Diverged { version });
    }
    if let Some((version, oldest)) = newer(connection).await? {
        if oldest > latest() {
            return Err(MigrationError::TooNew { version, oldest, own: latest() });
        }
        tracing::info!(version, own = latest(), "the schema is newer than this server, and works with it");
        migrator.set_ignore_missing(true);
    }
    let mut tries = 1;
    loop {
        match migrator.run_direct(None, connection, false).await {
            // Nothing of this migration is left: it is a transaction, as is every one that locks a table.
            Err(MigrateError::ExecuteMigration(error, version)) if is_locked(&error) && tries < MAX_LOCK_TRIES => {
                tracing::info!(version, "waiting for a table that is in use, to migrate it");
                tries += 1;
                sleep(LOCK_RETRY_DELAY).await;
            }
            migrated => return Ok(migrated?),
        }
    }
}

/// The first applied migration that is another one than this server's of the same number.
async fn diverged(connection: &mut PgConnection, migrator: &Migrator) -> Result<Option<i64>, sqlx::Error> {
    if !sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null").fetch_one(&mut *connection).await? {
        return Ok(None);
    }
    let applied: Vec<(i64, Vec<u8>)> =
        sqlx::query_as("select version, checksum from _sqlx_migrations where success order by version")
            .fetch_all(connection)
            .await?;
    let is_other = |version: i64, checksum: &[u8]| {
        migrator.iter().any(|own| {
            own.version == version && own.migration_type.is_up_migration() && own.checksum.as_ref() != checksum
        })
    };
    Ok(applied.iter().find(|(version, checksum)| is_other(*version, checksum)).map(|(version, _)| *version))
}

/// The version of a schema that is newer than this server, and of the oldest server that works with it.
async fn newer(connection: &mut PgConnection) -> Result<Option<(i64, i64)>, sqlx::Error> {
    if !sqlx::query_scalar(
        "select to_regclass('_sqlx_migrations') is not null and to_regclass('schema_compatibility') is not null",
    )
    .fetch_one(&mut *connection)
    .await?
    {
        return Ok(None);
    }
    sqlx::query_as(
        "select max(version), (select oldest_server from schema_compatibility)
                   from _sqlx_migrations where success having max(version) > $1",
    )
    .bind(latest())
    .fetch_optional(connection)
    .await
}

/// Whether a lock was waited for in vain.
pub(super) fn is_locked(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("55P03"))
}

/// Undoes every migration above `target`, newest first; 0 leaves an empty schema.
///
/// # Errors
/// As [`migrate`].
pub async fn undo(pool: &PgPool, target: i64) -> Result<(), MigrateError> {
    migrator().undo(pool, target).await
}

fn migrator() -> Migrator {
    let both = MIGRATIONS.iter().flat_map(|&(version, name, up, down)| {
        [(MigrationType::ReversibleUp, up), (MigrationType::ReversibleDown, down)].map(|(kind, sql)| {
            // `-- no-transaction` on the first line, as in sqlx's own files: for what cannot run in one, such as a concurrent index.
            let no_tx = sql.starts_with("-- no-transaction");
            Migration::new(version, name.into(), kind, sql.into_sql_str(), no_tx)
        })
    });
    Migrator::with_migrations(both.collect())
}
