//! The command line.

mod batch;
mod context;
mod credentials;
mod flag;
mod generate;
mod import;
mod plan;
mod platform_category;
mod run;
mod sync;
mod taxonomy;
mod tenant;
mod values;

use std::{path::PathBuf, time::Duration};

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use humantime::parse_duration;

pub(crate) use batch::{BatchCommand, CreateBatchArgs};
pub(crate) use context::ContextCommand;
pub(crate) use credentials::CredentialsCommand;
pub(crate) use flag::{FlagCommand, FlagFieldArgs, FlagListArgs};
pub(crate) use generate::{CompletionsArgs, ManArgs};
pub(crate) use import::{ImportArgs, ImportFormat};
pub(crate) use plan::{OverrideArgs, PlanCommand};
pub(crate) use platform_category::PlatformCategoryCommand;
pub(crate) use run::{CreateRunArgs, ListRunsArgs, RunCommand};
pub(crate) use sync::{ListSyncsArgs, SyncCommand};
pub(crate) use taxonomy::TaxonomyCommand;
pub(crate) use tenant::TenantCommand;

const AFTER_HELP: &str = "\
The token comes from the file of --token-file, from MIRRORCTL_TOKEN, or from the token file of the context. Options and variables go before \
the context (see `mirrorctl context --help`). NO_COLOR turns colors off; there are none in a pipe.

Tables are as wide as the terminal: a narrow one leaves columns out and cuts texts, a pipe does neither. Ids of runs and batches are \
shortened to their last 8 digits, which every command accepts.

Exit codes:
  0  done; a watched run succeeded
  1  a watched run failed, was skipped or was cancelled
  2  the command line is wrong
  3  the server refused the request, or items of an import
  4  the token is missing, invalid or does not suffice
  5  the server is not available, or did not answer in time: try again
  6  anything else";

/// Operate Category Mirror: start, watch and list category syncs, and keep what they need.
#[derive(Debug, Parser)]
#[command(name = "mirrorctl", version, after_help = AFTER_HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    Text,
    Json,
    Markdown,
}

#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// Form of the output: text for people, JSON with one object a line, Markdown for tickets (plans only)
    #[arg(long, global = true, default_value = "text", hide_possible_values = true, value_name = "text|json|markdown")]
    pub(crate) output: OutputFormat,
    /// Show times in UTC instead of the local time zone
    #[arg(long, global = true)]
    pub(crate) utc: bool,
    /// Show whole ids of runs and batches in tables
    #[arg(long, global = true)]
    pub(crate) full_ids: bool,
}

#[derive(Debug, Clone, ClapArgs)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionArgs {
    /// Context of the configuration file, instead of the current one
    #[arg(long, global = true, env = "MIRRORCTL_CONTEXT", value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// Address of the server [default: the context's, or http://127.0.0.1:50051]
    #[arg(long, global = true, env = "MIRRORCTL_ENDPOINT", hide_env_values = true, value_name = "URL")]
    pub(crate) endpoint: Option<String>,
    /// File with the bearer token, read again for each call; goes before MIRRORCTL_TOKEN
    #[arg(long, global = true, env = "MIRRORCTL_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// PEM file with the certificate authority to trust, instead of the system's
    #[arg(long, global = true, env = "MIRRORCTL_CA_FILE", value_name = "FILE", hide_short_help = true)]
    pub(crate) ca_file: Option<PathBuf>,
    /// PEM file with the certificate chain for a server that asks for one; with --client-key-file
    #[arg(long, global = true, env = "MIRRORCTL_CLIENT_CERT_FILE", value_name = "FILE", hide_short_help = true)]
    pub(crate) client_cert_file: Option<PathBuf>,
    /// PEM file with the private key of --client-cert-file
    #[arg(long, global = true, env = "MIRRORCTL_CLIENT_KEY_FILE", value_name = "FILE", hide_short_help = true)]
    pub(crate) client_key_file: Option<PathBuf>,
    /// Send the token over http:// to another machine, where everyone on the way can read it
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) allow_plaintext_token: bool,
    /// Time limit of a call, with its retries
    #[arg(long, global = true, default_value = "10s", value_parser = parse_duration, value_name = "DURATION")]
    pub(crate) timeout: Duration,
    /// Trace that the calls are part of (W3C Trace Context), such as 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
    #[arg(long, global = true, env = "TRACEPARENT", value_name = "TRACEPARENT", hide_short_help = true)]
    pub(crate) traceparent: Option<String>,
    /// Metadata to send with each call; may be given several times
    #[arg(long, global = true, value_name = "NAME=VALUE", value_parser = metadata, hide_short_help = true)]
    pub(crate) metadata: Vec<(String, String)>,
}

fn metadata(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("must be name=value")?;
    Ok((name.trim().to_owned(), value.to_owned()))
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start, watch, list and count runs, cancel them, or revert what they wrote
    #[command(subcommand)]
    Run(RunCommand),
    /// Show plans, also as JSON or Markdown
    #[command(subcommand)]
    Plan(PlanCommand),
    /// Sync an organization, or all tenants
    #[command(subcommand)]
    Batch(BatchCommand),
    /// Keep tenants and their categories
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// Show whether tenants are in sync, and decide about conflicts
    #[command(subcommand)]
    Sync(SyncCommand),
    /// Keep the platform's categories and their mappings
    #[command(subcommand)]
    PlatformCategory(PlatformCategoryCommand),
    /// Import Google's lists of categories, and search them
    #[command(subcommand)]
    Taxonomy(TaxonomyCommand),
    /// Switch features on and off
    #[command(subcommand)]
    Flag(FlagCommand),
    /// Keep accounts' own credentials for Google
    #[command(subcommand)]
    Credentials(CredentialsCommand),
    /// Keep the servers that this tool talks to, by name
    #[command(subcommand)]
    Context(ContextCommand),
    /// Show the versions of this tool and of the server
    Version,
    /// Print completions for a shell
    Completions(CompletionsArgs),
    /// Write the manual pages
    Man(ManArgs),
}

/// Whether a deletion was confirmed beforehand.
#[derive(Debug, Clone, Copy, ClapArgs)]
pub(crate) struct DeleteArgs {
    /// Delete without asking; required where there is no terminal
    #[arg(long, short)]
    pub(crate) yes: bool,
}
