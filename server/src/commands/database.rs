//! The database of a command: one that runs somewhere, or one of our own.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use tokio::time::{Instant, sleep};

use super::CommandError;
use crate::{
    PROGRAM,
    config::{ConfigError, DatabaseArgs},
    postgres::{Embedded, Error, Options},
    store::{self, Pools, Route, UnfitDatabase, migrations},
};

/// A migrated database, and the PostgreSQL behind it where that is ours.
pub(super) struct Database {
    pub(super) pools: Pools,
    embedded: Option<Embedded>,
}

impl Database {
    /// Starts PostgreSQL where none is named, checks what it is like, and brings the schema up to date; `dev` has a folder of its own.
    pub(super) async fn open(args: &DatabaseArgs, dev: bool) -> Result<Self, CommandError> {
        let direct = args.direct_url()?;
        let (options, embedded, origin) = match args.url()? {
            Some(url) => (url.0, None, "DATABASE_URL".to_owned()),
            None => {
                let folder = args.data_dir(dev)?;
                // With its path, which `serve --dev` chooses itself.
                let origin = format!("DATA_DIR {folder:?}");
                let mut options = Options::new(PROGRAM, folder);
                options.bin_dir.clone_from(&args.pg_bin_dir);
                let embedded = Embedded::start(options).await.map_err(postgres_error)?;
                (embedded.connect_options(), Some(embedded), origin)
            }
        };
        // Boxed: it holds several connections as they are made, which would be in the future of the server for its life.
        match Box::pin(migrated(&options, direct.map(|url| &url.0), args, &origin)).await {
            Ok(route) => Ok(Self { pools: Pools::new(route, args.database_max_connections), embedded }),
            Err(error) => {
                stop(embedded).await;
                Err(error)
            }
        }
    }

    /// Stops a PostgreSQL of our own.
    pub(super) async fn close(self) {
        stop(self.embedded).await;
    }
}

async fn stop(embedded: Option<Embedded>) {
    if let Some(embedded) = embedded {
        embedded.stop().await;
    }
}

/// How long a wrong setting is doubted, and the pause between two checks. In a failover some connections lead to the old server and some to
/// the new one for a while, most likely through a pooler, which looks as if the settings were wrong.
const DOUBT_TIMEOUT: Duration = Duration::from_secs(10);
const DOUBT_PAUSE: Duration = Duration::from_millis(500);

/// Checks the database, and again where what is found may be the middle of a failover.
async fn checked(
    options: &PgConnectOptions,
    direct: Option<&PgConnectOptions>,
    args: &DatabaseArgs,
) -> Result<Route, UnfitDatabase> {
    let since = Instant::now();
    loop {
        match store::check(options, direct, args.database_schema.as_deref()).await {
            Err(UnfitDatabase::TransactionPooler | UnfitDatabase::NotDirect | UnfitDatabase::TwoDatabases)
                if since.elapsed() < DOUBT_TIMEOUT =>
            {
                sleep(DOUBT_PAUSE).await;
            }
            checked => return checked,
        }
    }
}

/// The way to a database that is fit, and up to date. `origin` names the setting that it comes from.
async fn migrated(
    options: &PgConnectOptions,
    direct: Option<&PgConnectOptions>,
    args: &DatabaseArgs,
    origin: &str,
) -> Result<Route, CommandError> {
    let route = checked(options, direct, args).await.map_err(unfit)?;
    let migrated = migrations::migrate_along(&route).await;
    migrated
        .map_err(|error| CommandError::failed(&format!("{origin}: cannot bring the database up to date"), error))?;
    Ok(route)
}

/// Tells wrong settings from a database that is not as it must be.
fn unfit(error: UnfitDatabase) -> CommandError {
    match error {
        UnfitDatabase::TransactionPooler | UnfitDatabase::NotDirect | UnfitDatabase::TwoDatabases => {
            ConfigError(error.to_string()).into()
        }
        UnfitDatabase::Unreachable { .. } | UnfitDatabase::Database { .. } => CommandError::Failed(error.to_string()),
    }
}

/// Tells a wrong setting, which the error names, from a PostgreSQL that does not start.
pub(super) fn postgres_error(error: Error) -> CommandError {
    match error {
        Error::BinDir { .. } | Error::DataDir(_) | Error::UnreachableFolder { .. } => {
            ConfigError(error.to_string()).into()
        }
        Error::NotInstalled => {
            CommandError::Failed(format!("the embedded PostgreSQL cannot start: {error}, or set DATABASE_URL"))
        }
        error => CommandError::failed("the embedded PostgreSQL cannot start", error),
    }
}
