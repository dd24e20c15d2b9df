//! The database of a command: one that runs somewhere, or one of our own.

use std::time::Duration;

use sqlx::{Connection, PgPool, postgres::PgConnectOptions};

use super::CommandError;
use crate::{
    config::{ConfigError, DatabaseArgs},
    postgres::{Embedded, Error, Options},
    store::{self, migrations},
};

/// How long a database may take to answer at the start.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A migrated database, and the PostgreSQL behind it where that is ours.
pub(super) struct Database {
    pub(super) pool: PgPool,
    embedded: Option<Embedded>,
}

impl Database {
    /// Starts PostgreSQL where none is named, and brings the schema up to date; `dev` has a folder of its own.
    pub(super) async fn open(args: &DatabaseArgs, dev: bool) -> Result<Self, CommandError> {
        let (options, embedded) = match args.url()? {
            Some(url) => {
                reach(&url.0).await?;
                (url.0, None)
            }
            None => {
                let mut options = Options::new(args.data_dir(dev)?);
                options.bin_dir.clone_from(&args.pg_bin_dir);
                let embedded = Embedded::start(options).await.map_err(postgres_error)?;
                (embedded.connect_options(), Some(embedded))
            }
        };
        let database = Self { pool: store::connect(options, args.database_connections), embedded };
        match migrations::migrate(&database.pool).await {
            Ok(()) => Ok(database),
            Err(error) => {
                database.close().await;
                Err(CommandError::failed("DATABASE_URL: cannot bring the database up to date", error))
            }
        }
    }

    /// Closes the connections, and stops a PostgreSQL of our own.
    pub(super) async fn close(self) {
        self.pool.close().await;
        if let Some(embedded) = self.embedded {
            embedded.stop().await;
        }
    }
}

/// Connects once: a pool, which tries again and again, would only say that it waited in vain.
async fn reach(options: &PgConnectOptions) -> Result<(), CommandError> {
    let failed = |error: &dyn std::fmt::Display| CommandError::failed("DATABASE_URL: cannot connect", error);
    match tokio::time::timeout(CONNECT_TIMEOUT, store::connect_to_writable(options)).await {
        Ok(Ok(connection)) => connection.close().await.map_err(|error| failed(&error)),
        Ok(Err(error)) => Err(failed(&error)),
        Err(_) => Err(failed(&"no answer")),
    }
}

/// Tells a wrong setting, which the error names, from a PostgreSQL that does not start.
pub(super) fn postgres_error(error: Error) -> CommandError {
    match error {
        Error::BinDir { .. } | Error::DataDir(_) | Error::UnreachableFolder { .. } => {
            ConfigError(error.to_string()).into()
        }
        error => CommandError::failed("the embedded PostgreSQL cannot start", error),
    }
}
