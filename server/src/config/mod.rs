//! The command line and the environment. Every setting is both an option and an environment variable of the same name.

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
mod read;
mod runner;
mod secrets;
mod switch;

use clap::{Args, Parser, Subcommand};

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
  curl http://127.0.0.1:8765/_control/locations/2001        the merchant's and the public's view
  curl http://127.0.0.1:8765/_control/calls                 the counts of calls, and all writes
  curl http://127.0.0.1:8765/_control/faults -d '{"method": "locations.get", "status": 503, "times": 2}'"#;

/// A missing or invalid setting, described in one line that names it. The process exits with code 64.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

/// Keeps a store's business categories equal on a retail platform and on its Google Business Profile
///
/// `category-mirror demo` shows it without any configuration. Every setting is an option or an environment variable of
/// the same name in capitals (`--database-url` is DATABASE_URL); options take precedence. Exit codes: 0 on success, 64
/// if a setting is missing or invalid, 1 if anything else fails.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 110)]
pub struct Cli {
    /// The command to run.
    #[command(subcommand)]
    pub command: Command,
    /// Logging.
    #[command(flatten)]
    pub log: LogArgs,
    /// Variable names of the secrets that were given as arguments.
    #[arg(skip)]
    pub secret_arguments: Vec<&'static str>,
}

/// The commands of `category-mirror`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the whole product at work on this machine, without any configuration
    ///
    /// Starts a PostgreSQL from this machine's binaries and an emulator of Google Business Profile, and loads six
    /// stores. Then shows what a dry run would change, changes it, shows that nothing is left to change, and removes
    /// everything again. Takes a few seconds.
    Demo(DemoArgs),
    /// Run the server
    ///
    /// Three things have to be configured: the database (DATABASE_URL or DATA_DIR), Google (GBP_ENDPOINT and a
    /// credential), and a key to verify tokens with (one of the AUTH_ keys). Everything else has a default. `serve
    /// --dev` needs none of them. Applies pending migrations of the database first.
    ///
    /// SIGHUP re-reads the files with keys and certificates. A change of a file has the same effect within seconds.
    ///
    /// SIGTERM or Ctrl-C starts a drain: new calls are refused, and running runs are completed, or released to another
    /// server after SHUTDOWN_GRACE_PERIOD. A second signal ends the process immediately. No run is lost either way, not
    /// even with kill -9.
    #[command(after_long_help = SERVE_EXAMPLES)]
    Serve(Box<ServeArgs>),
    /// Apply pending migrations of the database, and exit
    ///
    /// `serve` also does this when it starts. Use this command to migrate in a separate step. Running it again has no
    /// effect.
    Migrate(Box<DatabaseArgs>),
    /// Sign a token, and print only the token on stdout
    ///
    /// Signs with a secret or private key whose counterpart the server trusts, or, with `--dev`, with the development
    /// key of this machine.
    #[command(after_long_help = TOKEN_EXAMPLES)]
    Token(Box<TokenArgs>),
    /// Run only the emulator of Google's API, with its control interface under /_control/
    ///
    /// It responds like Google Business Profile, including errors and quotas, and accepts any access token. Point a
    /// server at it with GBP_ENDPOINT=http://ADDRESS and any GBP_ACCESS_TOKEN. Its state is lost when it ends.
    #[command(after_long_help = EMULATOR_EXAMPLES)]
    GbpEmulator(crate::emulator::Args),
}

/// Settings of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Keep the server running afterwards, and print `grpcurl` commands to try
    #[arg(long)]
    pub keep: bool,
    /// Directory with PostgreSQL's binaries [default: the newest installed version]
    #[arg(long, env = "PG_BIN_DIR", value_name = "DIR")]
    pub pg_bin_dir: Option<std::path::PathBuf>,
}

/// Settings of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// For evaluation: replace missing settings with an embedded PostgreSQL, the GBP emulator, a development key, and
    /// flags that are on
    #[arg(long)]
    pub dev: bool,
    /// Listening addresses.
    #[command(flatten)]
    pub listen: ListenArgs,
    /// The database.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Google Business Profile.
    #[command(flatten)]
    pub gbp: GbpArgs,
    /// Accounts' own credentials.
    #[command(flatten)]
    pub credentials: CredentialArgs,
    /// Keys for tokens.
    #[command(flatten)]
    pub auth: AuthArgs,
    /// Limits of calls, streams and connections.
    #[command(flatten)]
    pub limits: LimitArgs,
    /// Execution of runs.
    #[command(flatten)]
    pub runner: RunnerArgs,
    /// Feature flags.
    #[command(flatten)]
    pub flags: FlagArgs,
    /// Export of traces.
    #[command(flatten)]
    pub otlp: OtlpArgs,
}

/// Settings of `token`.
#[derive(Debug, Args)]
pub struct TokenArgs {
    /// Sign with the development key in DATA_DIR, which `serve --dev` trusts
    #[arg(long)]
    pub dev: bool,
    /// Role of the caller: `admin` (all calls) or `viewer` (reads and streams)
    #[arg(long, value_name = "ROLE", value_parser = ["admin", "viewer"])]
    pub role: String,
    /// Name of the caller, recorded with every run that it requests
    #[arg(long, value_name = "NAME")]
    pub subject: String,
    /// Tenant that the token is limited to; can be repeated
    #[arg(long = "tenant", value_name = "TENANT")]
    pub tenants: Vec<String>,
    /// Lifetime of the token, such as `15m`, `1h` or `7d`
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = humantime::parse_duration)]
    pub ttl: std::time::Duration,
    /// Directory of the development key
    #[arg(long, env = "DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<std::path::PathBuf>,
    /// Keys to sign with.
    #[command(flatten)]
    pub auth: AuthArgs,
}
