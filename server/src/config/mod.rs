//! The command line and the environment: every setting is a flag and a variable of the same name.

mod bench;
mod database;
mod flags;
mod gbp;
mod listen;
mod logging;
mod runner;

use clap::{Args, Parser, Subcommand};

pub use bench::{BenchArgs, Figures};
pub use database::{DatabaseArgs, development_folder};
pub use flags::FlagArgs;
pub use gbp::{GbpArgs, GbpChoice};
pub use listen::ListenArgs;
pub use logging::{LogArgs, LogFormat};
pub use runner::RunnerArgs;

use crate::auth::AuthArgs;

/// A setting that is missing or wrong: one line that names it. Exit code 64.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

/// Keeps a store's business categories equal on a retail platform and on its Google Business Profile.
///
/// To see it work, with nothing configured: `category-mirror demo`. Every setting is a flag, or an environment variable of the same
/// name in capitals (`--database-url` is DATABASE_URL); flags win.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 110)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// How to log.
    #[command(flatten)]
    pub log: LogArgs,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the whole product at work on this machine, with nothing to configure
    Demo(DemoArgs),
    /// Run the service
    Serve(Box<ServeArgs>),
    /// Bring the database up to date, and exit
    Migrate(DatabaseArgs),
    /// Sign a token and print it, alone, on stdout
    Token(TokenArgs),
    /// Measure, beside PostgreSQL's own `pgbench`; prints one JSON object a line
    Bench(BenchArgs),
    /// Run the emulator of Google's API alone, with its control interface under /_control/
    GbpEmulator(crate::emulator::Args),
}

/// Settings of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Leave it serving afterwards, and print `grpcurl` lines to try
    #[arg(long)]
    pub keep: bool,
    /// Folder of PostgreSQL's binaries; else the newest that is installed
    #[arg(long, env = "PG_BIN_DIR", value_name = "DIR")]
    pub pg_bin_dir: Option<std::path::PathBuf>,
}

/// Settings of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// For trying out: whatever is not configured becomes an embedded PostgreSQL, the GBP emulator, a development key, and flags that are on
    #[arg(long)]
    pub dev: bool,
    /// Where to listen.
    #[command(flatten)]
    pub listen: ListenArgs,
    /// Which database.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Which Google.
    #[command(flatten)]
    pub gbp: GbpArgs,
    /// Which keys.
    #[command(flatten)]
    pub auth: AuthArgs,
    /// How runs are carried out.
    #[command(flatten)]
    pub runner: RunnerArgs,
    /// Which features are on.
    #[command(flatten)]
    pub flags: FlagArgs,
}

/// Settings of `token`.
#[derive(Debug, Args)]
pub struct TokenArgs {
    /// Sign with the development key of DATA_DIR, which `serve --dev` accepts
    #[arg(long)]
    pub dev: bool,
    /// What the holder may do: `admin` (everything) or `viewer` (reads and streams)
    #[arg(long, value_name = "ROLE", value_parser = ["admin", "viewer"])]
    pub role: String,
    /// Who the holder is: recorded with every run that they ask for
    #[arg(long, value_name = "NAME")]
    pub subject: String,
    /// Limit the token to this tenant; may be given several times
    #[arg(long = "tenant", value_name = "TENANT")]
    pub tenants: Vec<String>,
    /// How long it is valid, such as `15m`, `1h`, `7d`
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = humantime::parse_duration)]
    pub ttl: std::time::Duration,
    /// The folder that holds the development key
    #[arg(long, env = "DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<std::path::PathBuf>,
    /// Which key.
    #[command(flatten)]
    pub auth: AuthArgs,
}
