//! The database of a command: one that runs somewhere, or one of our own.

use sqlx::PgPool;

use super::CommandError;
use crate::{
    config::DatabaseArgs,
    postgres::{Embedded, Error, Options},
    store::{self, migrations},
};

/// A migrated database, and the PostgreSQL behind it where that is ours.
pub(super) struct Database {
    pub(super) pool: PgPool,
    embedded: Option<Embedded>,
}

impl Database {
    /// Starts PostgreSQL where none is named, and brings the schema up to date; `dev` has a folder of its own.
    pub(super) async fn open(args: &DatabaseArgs, dev: bool) -> Result<Self, CommandError> {
        let (options, embedded) = match &args.database_url {
            Some(url) => (url.0.clone(), None),
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

pub(super) fn postgres_error(error: Error) -> CommandError {
    CommandError::failed("the embedded PostgreSQL cannot start", error)
}
