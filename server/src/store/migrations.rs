//! The schema's history, embedded in the server. sqlx keeps the account in `_sqlx_migrations`: what was applied, with its checksum, so
//! that a migration that was changed afterwards is refused, and under an advisory lock, so that two servers can start at once.

use std::time::Duration;

use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection, PgPool, SqlSafeStr};
use tokio::time::sleep;

/// How long a migration waits for a table that is in use, and everybody who comes after it for the migration.
const LOCK_TIMEOUT: &str = "set lock_timeout = '3s'";
/// How often that is tried, and after which pause again.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_secs(1);

/// `(version, name, up, down)`, listed by the build script.
const MIGRATIONS: &[(i64, &str, &str, &str)] = include!(concat!(env!("OUT_DIR"), "/migrations.rs"));

/// The newest version that this server knows; 0 where there is none.
#[must_use]
pub fn latest() -> i64 {
    MIGRATIONS.last().map_or(0, |(version, ..)| *version)
}

/// Brings the database up to date.
///
/// # Errors
/// When the database cannot be reached, is newer than this server, or a migration fails (and is then rolled back).
pub async fn migrate(pool: &PgPool) -> Result<(), MigrateError> {
    // Another server's migration may take longer than any statement of a server may, and so may this one's own. While a table is locked
    // that is used, everybody waits: that is kept short instead.
    let options = PgConnectOptions::clone(&pool.connect_options())
        .options([("statement_timeout", "0"), ("idle_in_transaction_session_timeout", "0")]);
    let mut connection = super::connect_to_writable(&options).await?;
    connection.lock().await?;
    let migrated = migrate_locked(&mut connection).await;
    // Ends the lock as well.
    connection.close().await?;
    migrated
}

async fn migrate_locked(connection: &mut PgConnection) -> Result<(), MigrateError> {
    sqlx::raw_sql(LOCK_TIMEOUT).execute(&mut *connection).await?;
    let mut migrator = migrator();
    migrator.set_locking(false);
    let mut tries = 1;
    loop {
        match migrator.run_direct(None, connection, false).await {
            // Nothing of this migration is left: it is a transaction, as is every one that locks a table.
            Err(MigrateError::ExecuteMigration(error, version)) if is_locked(&error) && tries < TRIES => {
                tracing::info!(version, "waiting for a table that is in use, to migrate it");
                tries += 1;
                sleep(PAUSE).await;
            }
            migrated => return migrated,
        }
    }
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
