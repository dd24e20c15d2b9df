//! The command line.

mod batch;
mod credentials;
mod flag;
mod plan;
mod platform_category;
mod run;
mod sync;
mod taxonomy;
mod tenant;

use std::{path::PathBuf, time::Duration};

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use humantime::parse_duration;

pub(crate) use batch::{BatchCommand, CreateBatchArgs};
pub(crate) use credentials::CredentialsCommand;
pub(crate) use flag::{FlagCommand, FlagFieldArgs, FlagListArgs};
pub(crate) use plan::{OverrideArgs, PlanCommand};
pub(crate) use platform_category::PlatformCategoryCommand;
pub(crate) use run::{CreateRunArgs, ListRunsArgs, RunCommand};
pub(crate) use sync::{ListSyncsArgs, SyncCommand};
pub(crate) use taxonomy::TaxonomyCommand;
pub(crate) use tenant::TenantCommand;

const AFTER_HELP: &str = "\
The token comes from MIRRORCTL_TOKEN, or from the file of --token-file. NO_COLOR turns colours off; there are none in a pipe.

Exit codes:
  0  done; a watched run succeeded
  1  a watched run failed, was skipped or was cancelled
  2  the command line is wrong
  3  the server refused the request, or items of an import
  4  the token is missing, invalid or does not suffice
  5  the server is not available, or did not answer in time: try again
  6  anything else";

/// Triggers, watches and asks about category syncs.
#[derive(Debug, Parser)]
#[command(name = "mirrorctl", version, after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// As what: lines for people, JSON, one object a line, or Markdown for a ticket, which plans have
    #[arg(long, global = true, default_value = "text")]
    pub(crate) output: OutputFormat,
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
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionArgs {
    /// The server
    #[arg(
        long,
        global = true,
        env = "MIRRORCTL_ENDPOINT",
        hide_env_values = true,
        default_value = "http://127.0.0.1:50051"
    )]
    pub(crate) endpoint: String,
    /// A file with the bearer token, read again for each call; goes before MIRRORCTL_TOKEN
    #[arg(long, global = true, env = "MIRRORCTL_TOKEN_FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// A PEM file with the certificate authority to trust, instead of the system's
    #[arg(long, global = true, env = "MIRRORCTL_CA_FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// A PEM file with the certificate chain to show to a server that asks for one; with --client-key-file
    #[arg(long, global = true, env = "MIRRORCTL_CLIENT_CERT_FILE", value_name = "FILE")]
    pub(crate) client_cert_file: Option<PathBuf>,
    /// The private key of --client-cert-file, PEM
    #[arg(long, global = true, env = "MIRRORCTL_CLIENT_KEY_FILE", value_name = "FILE")]
    pub(crate) client_key_file: Option<PathBuf>,
    /// Send the token over http:// to another machine, readable to everybody on the way
    #[arg(long, global = true)]
    pub(crate) allow_plaintext_token: bool,
    /// How long a call may take, with its retries
    #[arg(long, global = true, default_value = "10s", value_parser = parse_duration)]
    pub(crate) timeout: Duration,
    /// Make the calls part of this trace (W3C Trace Context), such as 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
    #[arg(long, global = true, env = "TRACEPARENT", value_name = "TRACEPARENT")]
    pub(crate) traceparent: Option<String>,
    /// Send this with each call; may be given several times
    #[arg(long, global = true, value_name = "NAME=VALUE", value_parser = metadata)]
    pub(crate) metadata: Vec<(String, String)>,
}

fn metadata(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("must be name=value")?;
    Ok((name.trim().to_owned(), value.to_owned()))
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Ask for runs, watch, list and count them, cancel one, or take back what it wrote
    #[command(subcommand)]
    Run(RunCommand),
    /// Show plans, also as JSON or Markdown
    #[command(subcommand)]
    Plan(PlanCommand),
    /// Sync an organization, or every tenant
    #[command(subcommand)]
    Batch(BatchCommand),
    /// Keep tenants and their categories
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// Show how tenants' two sides stand, and decide what is to become of a difference
    #[command(subcommand)]
    Sync(SyncCommand),
    /// Keep the platform's categories and their mapping
    #[command(subcommand)]
    PlatformCategory(PlatformCategoryCommand),
    /// Import Google's lists of categories, and find categories in them
    #[command(subcommand)]
    Taxonomy(TaxonomyCommand),
    /// Switch features on and off
    #[command(subcommand)]
    Flag(FlagCommand),
    /// Keep accounts' own credentials for Google
    #[command(subcommand)]
    Credentials(CredentialsCommand),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ImportArgs {
    /// The file; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Say what would happen, and change nothing
    #[arg(long)]
    pub(crate) validate_only: bool,
}
