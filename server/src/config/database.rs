//! The database.

use std::{env, path::PathBuf, str::FromStr};

use clap::Args;
use sqlx::postgres::PgConnectOptions;

use super::{ConfigError, database_hosts::split_hosts, secrets::from_file};

/// The database: an external one, or an embedded one that the server runs itself.
#[derive(Debug, Args)]
#[command(next_help_heading = "Database")]
pub struct DatabaseArgs {
    /// URL of a PostgreSQL 15 or newer, such as `postgres://user:password@host/database`. If it lists several hosts
    /// (`one:5432,two:5432`), the server connects to the one that accepts writes
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<DatabaseUrl>,
    /// File that contains DATABASE_URL, so that its password is in neither the environment nor the arguments
    #[arg(long, env = "DATABASE_URL_FILE", value_name = "FILE")]
    pub database_url_file: Option<PathBuf>,
    /// URL of the same database that bypasses the pooler in transaction mode (PgBouncer, Supavisor) of DATABASE_URL.
    /// Used for LISTEN, the kill switch, lease renewals, locks and migrations
    #[arg(long, env = "DATABASE_DIRECT_URL", value_name = "URL", hide_env_values = true)]
    pub database_direct_url: Option<DatabaseUrl>,
    /// Existing schema that contains the tables [default: public]
    #[arg(long, env = "DATABASE_SCHEMA", value_name = "NAME", value_parser = schema)]
    pub database_schema: Option<String>,
    /// Directory of an embedded PostgreSQL, which the server runs from this machine's binaries if there is no
    /// DATABASE_URL. Must be new, empty, or created by an earlier start
    #[arg(long, env = "DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Directory with PostgreSQL's binaries for the embedded database [default: the newest installed version]
    #[arg(long, env = "PG_BIN_DIR", value_name = "DIR")]
    pub pg_bin_dir: Option<PathBuf>,
    /// Size of the connection pool that calls and runs share, from 2 to 1000. The server uses 15 further connections to
    /// accept runs, read the history, renew leases and listen for wake-ups. DATABASE_DIRECT_URL adds two; then, six of
    /// all connections bypass the pooler
    #[arg(long, env = "DATABASE_MAX_CONNECTIONS", value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(2..=1000))]
    pub database_max_connections: u32,
}

/// Connection options. The URL, which may contain a password, is not kept and never displayed.
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
        // The parser's own error may quote the URL, and with it a password.
        let (url, hosts) = split_hosts(url)?;
        let options = PgConnectOptions::from_str(&url).map_err(|_| "is not a valid connection URL".to_owned())?;
        Ok(Self(hosts.iter().fold(options, |options, hosts| options.host(hosts))))
    }
}

/// Parses a name that PostgreSQL neither folds to lower case nor truncates.
fn schema(name: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    if name.is_empty() || name.len() > 63 || !name.chars().all(is_plain) || name.starts_with("pg_") {
        return Err("must be 1 to 63 lower-case letters, digits, _ and -, and must not begin with pg_".to_owned());
    }
    Ok(name.to_owned())
}

impl DatabaseArgs {
    /// Returns the external database; `None` for an embedded one.
    ///
    /// # Errors
    ///
    /// If both settings are set, or the file contains no URL. The contents of the file are not repeated.
    pub fn url(&self) -> Result<Option<DatabaseUrl>, ConfigError> {
        match (&self.database_url, &self.database_url_file) {
            (Some(_), Some(_)) => Err(ConfigError("DATABASE_URL and DATABASE_URL_FILE cannot be combined".to_owned())),
            (Some(url), None) => Ok(Some(url.clone())),
            (None, Some(file)) => from_file("DATABASE_URL_FILE", file, DatabaseUrl::from_str).map(Some),
            (None, None) => Ok(None),
        }
    }

    /// Returns the URL that bypasses the pooler, if it is set.
    ///
    /// # Errors
    ///
    /// If there is no DATABASE_URL.
    pub fn direct_url(&self) -> Result<Option<&DatabaseUrl>, ConfigError> {
        if self.database_direct_url.is_some() && !self.has_url() {
            return Err(ConfigError(
                "DATABASE_DIRECT_URL is set without DATABASE_URL, the URL of the pooler".to_owned(),
            ));
        }
        Ok(self.database_direct_url.as_ref())
    }

    /// Whether an external database is configured.
    #[must_use]
    pub fn has_url(&self) -> bool {
        self.database_url.is_some() || self.database_url_file.is_some()
    }

    /// Returns the directory of the embedded PostgreSQL and the development key. With `dev`, it has a default.
    ///
    /// # Errors
    ///
    /// If none is set and there is no default.
    pub fn data_dir(&self, dev: bool) -> Result<PathBuf, ConfigError> {
        match (&self.data_dir, dev) {
            (Some(folder), _) => Ok(folder.clone()),
            (None, true) => development_folder(),
            (None, false) => Err(ConfigError("DATABASE_URL or DATA_DIR is required to select a database".to_owned())),
        }
    }
}

/// Returns the default directory of `--dev`. Root has a different one, because the user that PostgreSQL runs as cannot
/// read root's home.
///
/// # Errors
///
/// If the user has no home directory.
pub fn development_folder() -> Result<PathBuf, ConfigError> {
    if nix::unistd::geteuid().is_root() {
        return Ok(PathBuf::from("/var/lib/category-mirror"));
    }
    let data = env::var_os("XDG_DATA_HOME").map(PathBuf::from);
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share"));
    data.or_else(home)
        .map(|data| data.join("category-mirror"))
        .ok_or_else(|| ConfigError("DATA_DIR is required: there is no default, because HOME is not set".to_owned()))
}
