//! The command line and the environment: every setting is a flag and a variable of the same name.

mod bench;
mod credentials;
mod database;
mod database_hosts;
mod duration;
mod explain;
mod flags;
mod gbp;
mod limits;
mod listen;
mod log_fields;
mod log_json;
mod logging;
mod otlp;
mod runner;
mod secrets;
mod switch;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

pub use bench::{BenchArgs, Figures, RunSpread};
pub use credentials::CredentialArgs;
pub use database::{DatabaseArgs, development_folder};
pub use explain::explain;
pub use flags::FlagArgs;
pub use gbp::{GbpArgs, GbpChoice};
pub use limits::LimitArgs;
pub use listen::ListenArgs;
pub use logging::{LogArgs, LogFormat};
pub use otlp::OtlpArgs;
pub use runner::RunnerArgs;
pub use secrets::{warn_of_arguments, warn_of_exposed_keys};

use crate::auth::AuthArgs;

const SERVE_EXAMPLES: &str = "\
Examples:
  category-mirror serve --dev
  DATABASE_URL=postgres://mirror@db/mirror AUTH_JWKS_URL=https://id.example/keys \\
    GBP_ENDPOINT=https://mybusinessbusinessinformation.googleapis.com \\
    GBP_CREDENTIALS_FILE=/run/secrets/google.json FF_CATEGORY_MIRRORING=on \\
    FF_TENANT_PLATFORM_CATEGORY=on FF_TENANT_GBP_CATEGORY_SYNC=on category-mirror serve";

const TOKEN_EXAMPLES: &str = "\
Examples:
  export TOKEN=$(category-mirror token --dev --role admin --subject me)
  grpcurl -plaintext -H \"authorization: Bearer $TOKEN\" 127.0.0.1:50051 categorymirror.v1.TenantService/ListTenants
  category-mirror token --role viewer --subject support --tenant store-1 --ttl 15m --auth-hs256-secret-file secret";

const EMULATOR_EXAMPLES: &str = r#"Examples, with `category-mirror gbp-emulator --seed-demo` running:
  curl http://127.0.0.1:8765/_control/locations/2001        what the merchant and the public see
  curl http://127.0.0.1:8765/_control/calls                 what was called, and what was written
  curl http://127.0.0.1:8765/_control/faults -d '{"method": "locations.get", "status": 503, "times": 2}'"#;

/// A setting that is missing or wrong: one line that names it. Exit code 64.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

/// Keeps a store's business categories equal on a retail platform and on its Google Business Profile.
///
/// To see it work, with nothing configured: `category-mirror demo`. Every setting is a flag, or an environment variable of the same
/// name in capitals (`--database-url` is DATABASE_URL); flags win. Exit codes: 0; 64 for a setting that is missing or wrong; 1 for
/// anything else that fails.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 110)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// How to log.
    #[command(flatten)]
    pub log: LogArgs,
    /// The variables of secrets that were given as arguments.
    #[arg(skip)]
    pub secret_arguments: Vec<&'static str>,
}

impl Cli {
    /// Reads the command line of this process, and its environment.
    ///
    /// # Errors
    /// clap's, for [`explain`].
    pub fn read() -> Result<Self, clap::Error> {
        let matches = Self::command().try_get_matches()?;
        let cli = Self::from_arg_matches(&matches)?;
        Ok(Self { secret_arguments: secrets::among_arguments(&matches), ..cli })
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the whole product at work on this machine, with nothing to configure
    ///
    /// Starts a PostgreSQL from this machine's binaries and an emulator of Google Business Profile, loads six stores, shows what a dry
    /// run would change, changes it, shows that nothing is left to do, and removes everything again. Takes a few seconds.
    Demo(DemoArgs),
    /// Run the service
    ///
    /// It has to be told which database (DATABASE_URL or DATA_DIR), which Google (GBP_ENDPOINT and a credential) and whose tokens to
    /// believe (one of the AUTH_ keys); the rest has defaults. `serve --dev` needs none of it. Brings the database up to date first.
    ///
    /// SIGHUP reads the files of keys and certificates again, as a change of them does by itself within seconds.
    ///
    /// SIGTERM or Ctrl-C drains: new calls are refused, and runs under way are finished, or handed to the next server after SHUTDOWN_GRACE_PERIOD.
    /// A second one ends it at once. Nothing is lost either way, also not by kill -9.
    #[command(after_long_help = SERVE_EXAMPLES)]
    Serve(Box<ServeArgs>),
    /// Bring the database up to date, and exit
    ///
    /// `serve` does the same when it starts. This is for those who migrate in a step of its own. Doing it twice does no harm.
    Migrate(Box<DatabaseArgs>),
    /// Sign a token and print it, alone, on stdout
    ///
    /// With the secret or private key whose counterpart the server believes, or with `--dev`, the development key of this machine.
    #[command(after_long_help = TOKEN_EXAMPLES)]
    Token(Box<TokenArgs>),
    /// Measure, beside PostgreSQL's own `pgbench`; prints one JSON object a line
    Bench(BenchArgs),
    /// Run the emulator of Google's API alone, with its control interface under /_control/
    ///
    /// It answers as Google Business Profile does, its errors and quotas included, and takes any access token. Point a server at it
    /// with GBP_ENDPOINT=http://ADDRESS and any GBP_ACCESS_TOKEN. What it knows is gone when it ends.
    #[command(after_long_help = EMULATOR_EXAMPLES)]
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
    /// Accounts' own credentials.
    #[command(flatten)]
    pub credentials: CredentialArgs,
    /// Which keys.
    #[command(flatten)]
    pub auth: AuthArgs,
    /// How much is let in.
    #[command(flatten)]
    pub limits: LimitArgs,
    /// How runs are carried out.
    #[command(flatten)]
    pub runner: RunnerArgs,
    /// Which features are on.
    #[command(flatten)]
    pub flags: FlagArgs,
    /// Where spans go.
    #[command(flatten)]
    pub otlp: OtlpArgs,
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
