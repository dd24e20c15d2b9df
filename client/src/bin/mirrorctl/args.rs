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
The token is read from --token-file, from MIRRORCTL_TOKEN, or from the token file of the context, in this order. Options and variables \
take precedence over the context (see `mirrorctl context --help`). NO_COLOR turns colors off; output to a pipe has none.

Tables fit the terminal: in a narrow one, columns are left out and texts are cut; in a pipe, nothing is. Tables show the last 8 digits of \
the ids of runs and batches; every command accepts these.

Exit codes:
  0  done; a watched run succeeded
  1  a watched run failed, was skipped or was cancelled
  2  the command line is invalid
  3  the server refused the request, or items of an import
  4  the token is missing, invalid or not sufficient
  5  the server is not available, or did not answer in time: try again
  6  anything else";

/// Operate Category Mirror: start, watch and list category syncs, and manage tenants, categories and flags.
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
    /// Output format: text for people, JSON with one object per line, or Markdown for tickets (plans only)
    #[arg(long, global = true, default_value = "text", hide_possible_values = true, value_name = "text|json|markdown")]
    pub(crate) output: OutputFormat,
    /// Show times in UTC instead of the local time zone
    #[arg(long, global = true)]
    pub(crate) utc: bool,
    /// Show full ids of runs and batches in tables
    #[arg(long, global = true)]
    pub(crate) full_ids: bool,
}

#[derive(Debug, Clone, ClapArgs)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionArgs {
    /// Context in the configuration file to use instead of the current one
    #[arg(long, global = true, env = "MIRRORCTL_CONTEXT", value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// Address of the server [default: the context's, or http://127.0.0.1:50051]
    #[arg(long, global = true, env = "MIRRORCTL_ENDPOINT", hide_env_values = true, value_name = "URL")]
    pub(crate) endpoint: Option<String>,
    /// File with the bearer token, re-read for each call; takes precedence over MIRRORCTL_TOKEN
    #[arg(long, global = true, env = "MIRRORCTL_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// PEM file with the certificate authority to trust, instead of the system's
    #[arg(long, global = true, env = "MIRRORCTL_CA_FILE", value_name = "FILE", hide_short_help = true)]
    pub(crate) ca_file: Option<PathBuf>,
    /// PEM file with the certificate chain, for a server that requires one; requires --client-key-file
    #[arg(long, global = true, env = "MIRRORCTL_CLIENT_CERT_FILE", value_name = "FILE", hide_short_help = true)]
    pub(crate) client_cert_file: Option<PathBuf>,
    /// PEM file with the private key of --client-cert-file
    #[arg(long, global = true, env = "MIRRORCTL_CLIENT_KEY_FILE", value_name = "FILE", hide_short_help = true)]
    pub(crate) client_key_file: Option<PathBuf>,
    /// Send the token over http:// even to another machine; it can be read in transit
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) allow_plaintext_token: bool,
    /// Maximum duration of a call, including its retries
    #[arg(long, global = true, default_value = "10s", value_parser = parse_duration, value_name = "DURATION")]
    pub(crate) timeout: Duration,
    /// Trace that the calls belong to (W3C Trace Context), such as 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
    #[arg(long, global = true, env = "TRACEPARENT", value_name = "TRACEPARENT", hide_short_help = true)]
    pub(crate) traceparent: Option<String>,
    /// Metadata to send with each call; can be repeated
    #[arg(long, global = true, value_name = "NAME=VALUE", value_parser = metadata, hide_short_help = true)]
    pub(crate) metadata: Vec<(String, String)>,
}

fn metadata(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("must be name=value")?;
    Ok((name.trim().to_owned(), value.to_owned()))
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start, watch, list, count, cancel and revert runs
    #[command(subcommand)]
    Run(RunCommand),
    /// Show the plans of runs
    #[command(subcommand)]
    Plan(PlanCommand),
    /// Start, watch, list and cancel batches: runs for an organization or for all tenants
    #[command(subcommand)]
    Batch(BatchCommand),
    /// Manage tenants and their categories
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// Show whether tenants are in sync, and decide about conflicts
    #[command(subcommand)]
    Sync(SyncCommand),
    /// Manage platform categories and their mappings
    #[command(subcommand)]
    PlatformCategory(PlatformCategoryCommand),
    /// Import and search Google's lists of categories
    #[command(subcommand)]
    Taxonomy(TaxonomyCommand),
    /// Show, change and evaluate feature flags
    #[command(subcommand)]
    Flag(FlagCommand),
    /// Manage accounts' own credentials for Google
    #[command(subcommand)]
    Credentials(CredentialsCommand),
    /// Manage contexts: named servers that this tool can call
    #[command(subcommand)]
    Context(ContextCommand),
    /// Show the versions of this tool and of the server
    Version,
    /// Print the completion script for a shell
    Completions(CompletionsArgs),
    /// Write the manual pages to a directory
    Man(ManArgs),
}

/// Whether a deletion was confirmed beforehand.
#[derive(Debug, Clone, Copy, ClapArgs)]
pub(crate) struct DeleteArgs {
    /// Delete without confirmation; required if there is no terminal
    #[arg(long, short)]
    pub(crate) yes: bool,
}
