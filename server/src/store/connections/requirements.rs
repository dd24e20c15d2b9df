//! The requirements of the database: checked once, at the start, and reported in one line with the remedy.

use std::time::Duration;

use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tokio::time::timeout;

use super::{
    database_facts::DatabaseFacts, epoch::Epochs, limits::limits, pool::ConnectionPool, route::Route, session_check,
};

/// How long a database may take to answer at the start.
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);

/// The setting of the one URL, or of the pooler's where there are two.
const URL: &str = "DATABASE_URL";
/// The setting of the URL that leads past a pooler.
const DIRECT_URL: &str = "DATABASE_DIRECT_URL";

/// Why a database is not one that the service can live in.
#[derive(Debug, thiserror::Error)]
pub enum UnfitDatabase {
    /// It does not answer, or refuses the connection.
    #[error("{setting}: cannot connect: {error}")]
    Unreachable {
        /// Which URL.
        setting: &'static str,
        /// What it said.
        error: String,
    },
    /// A pooler that hands each transaction to another session.
    #[error(
        "DATABASE_URL goes through a pooler in transaction mode, which keeps no session; set DATABASE_DIRECT_URL to a URL that bypasses \
         it, for LISTEN, locks and migrations, or use its session mode"
    )]
    TransactionPooler,
    /// The same where a session is needed.
    #[error(
        "DATABASE_DIRECT_URL also goes through a pooler in transaction mode; it must go to PostgreSQL itself, or to a pooler in session mode"
    )]
    NotDirect,
    /// Two URLs, two databases.
    #[error("DATABASE_URL and DATABASE_DIRECT_URL go to different databases; both must go to the same one")]
    TwoDatabases,
    /// Something about the database, with the remedy.
    #[error("{setting}: {problem}")]
    Database {
        /// Which URL.
        setting: &'static str,
        /// The problem and its remedy.
        problem: String,
    },
}

/// Checks the database at `url`, with its tables in `schema` where one is named. Where there is a `direct` URL, `url`
/// is that of a pooler in transaction mode. Returns the route to it.
///
/// # Errors
/// [`UnfitDatabase`]; nothing is changed.
pub async fn check(
    url: &PgConnectOptions,
    direct: Option<&PgConnectOptions>,
    schema: Option<&str>,
) -> Result<Route, UnfitDatabase> {
    let setting = if direct.is_some() { DIRECT_URL } else { URL };
    let (route, mut connection) = reach(setting, direct.unwrap_or(url)).await?;
    let failed = |error: sqlx::Error| unreachable(setting, &error);
    let mut other = answer(setting, route.open_untouched()).await?;
    if !answer(setting, session_check::are_kept(&mut connection, &mut other)).await? {
        return Err(if direct.is_some() { UnfitDatabase::NotDirect } else { UnfitDatabase::TransactionPooler });
    }
    answer(setting, route.prepare(&mut connection)).await?;
    let facts = answer(setting, DatabaseFacts::read(&mut connection, schema)).await?;
    let session = facts.session().map_err(|problem| UnfitDatabase::Database { setting, problem })?;
    other.close().await.map_err(failed)?;
    let mut route = route.with_session(session.on_version(connection.server_version_num()));
    if direct.is_some() {
        route = route.through(url.clone());
        check_pooler(&route, &mut connection).await?;
    }
    connection.close().await.map_err(failed)?;
    if facts.loses_commits() {
        tracing::info!(
            "synchronous_commit is off for this role, database or server: connections of this server switch it on"
        );
    }
    Ok(route)
}

/// Opens the first connection. Some poolers refuse one whose startup names settings, and some drop these.
async fn reach(setting: &'static str, url: &PgConnectOptions) -> Result<(Route, PgConnection), UnfitDatabase> {
    let route = Route::direct(url.clone());
    match timeout(CHECK_TIMEOUT, route.open_untouched()).await {
        Ok(Ok(connection)) => Ok((route, connection)),
        Ok(Err(error)) if error.to_string().contains("unsupported startup parameter") => {
            let route = route.without_startup_settings();
            let connection = answer(setting, route.open_untouched()).await?;
            Ok((route, connection))
        }
        Ok(Err(error)) => Err(unreachable(setting, &error)),
        Err(_) => Err(no_answer(setting)),
    }
}

/// Checks that a statement gets through the pooler as those of the store do, and to the same database. Locks are known to all sessions of
/// a database, and to no other's.
async fn check_pooler(route: &Route, direct: &mut PgConnection) -> Result<(), UnfitDatabase> {
    let pool = ConnectionPool::new(route.hosts(&[]), Epochs::default(), limits(1));
    let (_, lock) = uuid::Uuid::now_v7().as_u64_pair();
    let locking = sqlx::query("select pg_advisory_lock($1)").bind(lock.cast_signed()).execute(direct);
    answer(DIRECT_URL, locking).await?;
    let trying = sqlx::query_scalar("select pg_try_advisory_xact_lock($1)").bind(lock.cast_signed());
    let is_another: bool = answer(URL, trying.fetch_one(&pool)).await?;
    pool.close().await;
    if is_another { Err(UnfitDatabase::TwoDatabases) } else { Ok(()) }
}

async fn answer<T>(
    setting: &'static str,
    asked: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, UnfitDatabase> {
    match timeout(CHECK_TIMEOUT, asked).await {
        Ok(answered) => answered.map_err(|error| unreachable(setting, &error)),
        Err(_) => Err(no_answer(setting)),
    }
}

fn unreachable(setting: &'static str, error: &sqlx::Error) -> UnfitDatabase {
    UnfitDatabase::Unreachable { setting, error: error.to_string().replace('\n', " ") }
}

fn no_answer(setting: &'static str) -> UnfitDatabase {
    UnfitDatabase::Unreachable { setting, error: "no answer".to_owned() }
}
