//! The schema's history, embedded in the server. sqlx keeps the account in `_sqlx_migrations`: what was applied, with its checksum, so
//! that a migration that was changed afterwards is refused, and under an advisory lock, so that two servers can start at once.

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{PgPool, SqlSafeStr};

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
    migrator().run(pool).await
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
