//! A PostgreSQL for a while, in a folder that is gone afterwards: what the demo plays on, and the benchmarks run on.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{AssertSqlSafe, PgPool, postgres::PgConnectOptions};

use super::{CommandError, database::postgres_error};
use crate::{
    PROGRAM,
    auth::{Grant, Signer, Verifier},
    domain::Role,
    postgres::{Embedded, Options},
    store::{self, migrations},
};

const TOKEN_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// A durable database with the newest schema, and a development key beside it.
pub struct Scratch {
    /// Connections to it.
    pub pool: PgPool,
    /// The server behind it.
    pub postgres: Embedded,
    folder: PathBuf,
}

impl Scratch {
    /// Starts one; `purpose` is in the folder's name. If that fails, nothing is left of it.
    pub async fn open(purpose: &str, bin_dir: Option<&Path>, connections: u32) -> Result<Self, CommandError> {
        let name = format!("category-mirror-{purpose}-{}", uuid::Uuid::now_v7().simple());
        let folder = std::env::temp_dir().join(name);
        let mut options = Options::new(PROGRAM, &folder);
        options.bin_dir = bin_dir.map(Path::to_owned);
        let postgres = match Embedded::start(options).await {
            Ok(postgres) => postgres,
            Err(error) => {
                remove(&folder).await;
                return Err(postgres_error(error));
            }
        };
        match migrated(postgres.connect_options(), connections).await {
            Ok(pool) => Ok(Self { pool, postgres, folder }),
            Err(error) => {
                postgres.stop().await;
                remove(&folder).await;
                Err(error)
            }
        }
    }

    /// A second database beside it, with the same schema.
    ///
    /// # Errors
    /// The database's.
    pub async fn beside(&self, name: &str, connections: u32) -> Result<PgPool, CommandError> {
        let create = AssertSqlSafe(format!("create database {name}"));
        let created = sqlx::raw_sql(create).execute(&self.pool).await;
        created.map_err(|error| CommandError::failed("cannot make a database", error))?;
        migrated(self.postgres.connect_options().database(name), connections).await
    }

    /// Drops a database that was made beside it, to which nobody is connected any more.
    ///
    /// # Errors
    /// The database's.
    pub async fn drop_beside(&self, name: &str) -> Result<(), CommandError> {
        let drop = AssertSqlSafe(format!("drop database {name} with (force)"));
        let dropped = sqlx::raw_sql(drop).execute(&self.pool).await;
        dropped.map(std::mem::drop).map_err(|error| CommandError::failed("cannot drop a database", error))
    }

    /// The folder, for files that go with it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Who believes tokens of the development key, and an administrator's token.
    ///
    /// # Errors
    /// The key cannot be read or written.
    pub fn key(&self, subject: &str) -> Result<(Verifier, String), CommandError> {
        let failed = |error| CommandError::failed("development key", error);
        let verifier = Verifier::development(&self.folder).map_err(failed)?;
        let grant = Grant { subject: subject.to_owned(), role: Role::Admin, tenants: None, ttl: TOKEN_LIFETIME };
        let signer = Signer::development(&self.folder).map_err(failed)?;
        Ok((verifier, signer.sign(&grant, chrono::Utc::now()).map_err(failed)?))
    }

    /// Stops PostgreSQL, and removes the folder.
    pub async fn close(self) {
        self.postgres.stop().await;
        remove(&self.folder).await;
    }
}

async fn remove(folder: &Path) {
    match tokio::fs::remove_dir_all(folder).await {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::warn!(folder = %folder.display(), %error, "failed to remove the folder");
        }
        _ => {}
    }
}

async fn migrated(options: PgConnectOptions, connections: u32) -> Result<PgPool, CommandError> {
    let pool = store::connect(options, connections);
    migrations::migrate(&pool).await.map_err(|error| CommandError::failed("cannot make the schema", error))?;
    Ok(pool)
}
