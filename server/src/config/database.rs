//! Which database.

use std::{env, path::PathBuf, str::FromStr};

use clap::Args;
use sqlx::postgres::PgConnectOptions;

use super::{ConfigError, database_hosts::split_hosts, secrets::from_file};

/// The database: one that runs somewhere, or one that this server runs itself.
#[derive(Debug, Args)]
#[command(next_help_heading = "Database")]
pub struct DatabaseArgs {
    /// A PostgreSQL 15 or newer, such as `postgres://user:password@host/database`; of several hosts (`one:5432,two:5432`) the one that
    /// takes writes
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<DatabaseUrl>,
    /// A file that holds DATABASE_URL, so that its password is neither in the environment nor among the arguments
    #[arg(long, env = "DATABASE_URL_FILE", value_name = "FILE")]
    pub database_url_file: Option<PathBuf>,
    /// The same database past a pooler in transaction mode (PgBouncer, Supavisor), which DATABASE_URL then leads through: for LISTEN, locks
    /// and migrations
    #[arg(long, env = "DATABASE_DIRECT_URL", value_name = "URL", hide_env_values = true)]
    pub database_direct_url: Option<DatabaseUrl>,
    /// Schema of the tables, which exists already [default: public]
    #[arg(long, env = "DATABASE_SCHEMA", value_name = "NAME", value_parser = schema)]
    pub database_schema: Option<String>,
    /// Without DATABASE_URL: the folder of an embedded PostgreSQL, which the server runs from this machine's binaries; a new one, an empty
    /// one, or one that an earlier start made
    #[arg(long, env = "DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Folder of PostgreSQL's binaries for the embedded one; else the newest that is installed
    #[arg(long, env = "PG_BIN_DIR", value_name = "DIR")]
    pub pg_bin_dir: Option<PathBuf>,
    /// Connections that calls and runs share; 15 more accept runs, read the history, renew leases and listen for wake-ups, and two more where
    /// there is a DATABASE_DIRECT_URL, six of all of them past the pooler
    #[arg(long, env = "DATABASE_MAX_CONNECTIONS", value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(2..=1000))]
    pub database_max_connections: u32,
}

/// Connection options; the URL, which may hold a password, is not kept and never shown.
#[derive(Clone)]
pub struct DatabaseUrl(pub PgConnectOptions);

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DatabaseUrl(…)")
    }
}

impl FromStr for DatabaseUrl {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err("must begin with postgres:// or postgresql://".to_owned());
        }
        // The parser's own words may quote the URL, and with it a password.
        let (url, hosts) = split_hosts(url)?;
        let options = PgConnectOptions::from_str(&url).map_err(|_| "is not a valid connection URL".to_owned())?;
        Ok(Self(hosts.iter().fold(options, |options, hosts| options.host(hosts))))
    }
}

/// A name that PostgreSQL neither folds nor cuts.
fn schema(name: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    if name.is_empty() || name.len() > 63 || !name.chars().all(is_plain) || name.starts_with("pg_") {
        return Err("must be 1 to 63 lowercase letters, digits, _ and -, and not begin with pg_".to_owned());
    }
    Ok(name.to_owned())
}

impl DatabaseArgs {
    /// Which database runs somewhere; `None`: an embedded one.
    ///
    /// # Errors
    /// Two of them, or a file that holds none. What is in the file is not repeated.
    pub fn url(&self) -> Result<Option<DatabaseUrl>, ConfigError> {
        match (&self.database_url, &self.database_url_file) {
            (Some(_), Some(_)) => Err(ConfigError("DATABASE_URL and DATABASE_URL_FILE exclude each other".to_owned())),
            (Some(url), None) => Ok(Some(url.clone())),
            (None, Some(file)) => from_file("DATABASE_URL_FILE", file, DatabaseUrl::from_str).map(Some),
            (None, None) => Ok(None),
        }
    }

    /// The same database past a pooler, where there is one.
    ///
    /// # Errors
    /// When it leads past nothing.
    pub fn direct_url(&self) -> Result<Option<&DatabaseUrl>, ConfigError> {
        if self.database_direct_url.is_some() && !self.has_url() {
            return Err(ConfigError(
                "DATABASE_DIRECT_URL is set without DATABASE_URL, the URL of the pooler".to_owned(),
            ));
        }
        Ok(self.database_direct_url.as_ref())
    }

    /// Whether a database that runs somewhere is named.
    #[must_use]
    pub fn has_url(&self) -> bool {
        self.database_url.is_some() || self.database_url_file.is_some()
    }

    /// The folder of the embedded PostgreSQL and the development key; `dev` has a place of its own where none is named.
    ///
    /// # Errors
    /// When there is none.
    pub fn data_dir(&self, dev: bool) -> Result<PathBuf, ConfigError> {
        match (&self.data_dir, dev) {
            (Some(folder), _) => Ok(folder.clone()),
            (None, true) => development_folder(),
            (None, false) => Err(ConfigError("DATABASE_URL or DATA_DIR is required: which database?".to_owned())),
        }
    }
}

/// Where `--dev` keeps its things. Root's home is closed to the user that PostgreSQL runs as, so root has another place.
///
/// # Errors
/// When the user has no home.
pub fn development_folder() -> Result<PathBuf, ConfigError> {
    if nix::unistd::geteuid().is_root() {
        return Ok(PathBuf::from("/var/lib/category-mirror"));
    }
    let data = env::var_os("XDG_DATA_HOME").map(PathBuf::from);
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share"));
    data.or_else(home)
        .map(|data| data.join("category-mirror"))
        .ok_or_else(|| ConfigError("DATA_DIR is required: there is no HOME to keep a folder in".to_owned()))
}
