//! The command line.

mod batches;
mod credentials;
mod flags;
mod plan;
mod taxonomy;

use std::{path::PathBuf, time::Duration};

use category_mirror_client::{GbpView, RunState, Strategy, SyncCause, SyncDecision};
use clap::{Args as ClapArgs, Parser, Subcommand};
use humantime::parse_duration;

pub(crate) use batches::{Batches, Start};
pub(crate) use credentials::Credentials;
pub(crate) use flags::{FlagFields, Flags};
pub(crate) use plan::{Format, Overrides, Plan};
pub(crate) use taxonomy::Taxonomy;

const AFTER_HELP: &str = "\
The token comes from MIRROR_TOKEN, or from the file of --token-file. NO_COLOR turns colours off; there are none in a pipe.

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
    /// Print JSON, one object a line
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Connection {
    /// The server
    #[arg(
        long,
        global = true,
        env = "MIRROR_ENDPOINT",
        hide_env_values = true,
        default_value = "http://127.0.0.1:50051"
    )]
    pub(crate) endpoint: String,
    /// A file with the bearer token, read again for each call; goes before MIRROR_TOKEN
    #[arg(long, global = true, env = "MIRROR_TOKEN_FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// A PEM file with the certificate authority to trust, instead of the system's
    #[arg(long, global = true, env = "MIRROR_CA_FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Send the token over http:// to another machine, readable to everybody on the way
    #[arg(long, global = true)]
    pub(crate) allow_plaintext_token: bool,
    /// How long a call may take, with its retries
    #[arg(long, global = true, default_value = "10s", value_parser = parse_duration)]
    pub(crate) timeout: Duration,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Ask for a run
    Trigger(Trigger),
    /// Look at a run, cancel it, or take back what it wrote
    #[command(subcommand)]
    Run(Run),
    /// Show plans, also as JSON or Markdown
    #[command(subcommand)]
    Plan(Plan),
    /// Sync an organization, or every tenant
    #[command(subcommand)]
    Batch(Batches),
    /// Watch runs change, without end
    Watch {
        /// Only this tenant's
        #[arg(long)]
        tenant: Option<String>,
        /// Only this organization's
        #[arg(long, conflicts_with = "tenant")]
        organization: Option<String>,
    },
    /// List runs, newest first
    Logs(Logs),
    /// Count runs and their results
    Stats {
        /// Only this tenant's
        #[arg(long)]
        tenant: Option<String>,
        /// Only this organization's
        #[arg(long)]
        organization: Option<String>,
        /// How far back, such as 24h or 7days
        #[arg(long, default_value = "24h", value_parser = parse_duration)]
        window: Duration,
    },
    /// Keep tenants and their categories
    #[command(subcommand)]
    Tenants(Tenants),
    /// Keep the platform's categories and their mapping
    #[command(subcommand)]
    Categories(Categories),
    /// Import Google's lists of categories, and find categories in them
    #[command(subcommand)]
    Taxonomy(Taxonomy),
    /// Switch features on and off
    #[command(subcommand)]
    Flags(Flags),
    /// Keep accounts' own credentials for Google
    #[command(subcommand)]
    Credentials(Credentials),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Trigger {
    /// The tenant, an id or tenants/{id}
    pub(crate) tenant: String,
    /// Which side wins: platform_to_gbp or gbp_to_platform
    pub(crate) strategy: Strategy,
    /// Only plan, write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Show how it goes on, until it ends
    #[arg(long)]
    pub(crate) watch: bool,
    /// Asking again with the same id within 24 h returns the first answer
    #[arg(long)]
    pub(crate) request_id: Option<String>,
    /// Apply exactly the plan of this dry run, or nothing
    #[arg(long, value_name = "RUN", conflicts_with = "dry_run")]
    pub(crate) plan: Option<String>,
    /// Which of Google's records is the source, where Google wins: merchant or public
    #[arg(long)]
    pub(crate) view: Option<GbpView>,
    #[command(flatten)]
    pub(crate) overrides: Overrides,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Run {
    /// Show a run with its plan
    Get {
        /// tenants/{tenant}/runs/{run}, or the run's id
        run: String,
    },
    /// Show the newest run of a tenant and strategy
    Last {
        /// The tenant
        tenant: String,
        /// platform_to_gbp or gbp_to_platform
        strategy: Strategy,
    },
    /// Cancel a run
    Cancel {
        /// tenants/{tenant}/runs/{run}, or the run's id
        run: String,
    },
    /// Take back what a run wrote, where it is still there
    Revert {
        /// tenants/{tenant}/runs/{run}, or the run's id
        run: String,
        /// Only plan the way back
        #[arg(long)]
        dry_run: bool,
        /// Show how it goes on, until it ends
        #[arg(long)]
        watch: bool,
        #[command(flatten)]
        overrides: Overrides,
    },
    /// Show how a run goes on, until it ends
    Watch {
        /// tenants/{tenant}/runs/{run}, or the run's id
        run: String,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Logs {
    /// Only this tenant's
    #[arg(long)]
    pub(crate) tenant: Option<String>,
    /// Only this organization's
    #[arg(long)]
    pub(crate) organization: Option<String>,
    /// Only of this strategy
    #[arg(long)]
    pub(crate) strategy: Option<Strategy>,
    /// Only in this state, such as failed; may be given several times
    #[arg(long)]
    pub(crate) state: Vec<RunState>,
    /// Only dry runs (true), or only real ones (false)
    #[arg(long)]
    pub(crate) dry_run: Option<bool>,
    /// Only with this reason, such as UNMAPPED_PRIMARY
    #[arg(long)]
    pub(crate) reason: Option<String>,
    /// Only asked for by this caller
    #[arg(long)]
    pub(crate) caller: Option<String>,
    /// Only accepted this long ago or later, such as 2h
    #[arg(long, value_parser = parse_duration)]
    pub(crate) since: Option<Duration>,
    /// Only ended ones that found differences
    #[arg(long)]
    pub(crate) out_of_sync: bool,
    /// At most so many
    #[arg(long, short = 'n', default_value_t = 20)]
    pub(crate) limit: usize,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Tenants {
    /// List tenants by id
    List {
        /// Only those of this organization
        #[arg(long)]
        organization: Option<String>,
    },
    /// Show a tenant
    Get {
        /// Its id
        tenant: String,
    },
    /// Create a tenant
    Create {
        /// Its id
        tenant: String,
        #[command(flatten)]
        fields: TenantFields,
    },
    /// Change what is given, and nothing else; an empty organization or account and location take them away
    Update {
        /// Its id
        tenant: String,
        #[command(flatten)]
        fields: TenantFields,
    },
    /// Delete a tenant; its runs stay in the logs
    Delete {
        /// Its id
        tenant: String,
    },
    /// Create or change what a file holds: a JSON object a line, with tenant, display_name, organization, gbp_account, gbp_location,
    /// region_code, language_code, primary and additional; each good line is taken
    Import(Import),
    /// Show a tenant's categories on the platform
    Categories {
        /// Its id
        tenant: String,
    },
    /// Show how a tenant's two sides stand, and why they differ if they do
    Sync {
        /// Its id
        tenant: String,
    },
    /// List how tenants stand, as runs have found them
    Syncs(Syncs),
    /// Decide about a tenant whose value is changed back again and again, or that is to be left alone
    Decide {
        /// Its id
        tenant: String,
        /// accept_google, push_again or ignore
        decision: SyncDecision,
        /// Why, for the record
        #[arg(long)]
        reason: String,
        /// Show how the run goes on that carries the decision out, until it ends
        #[arg(long)]
        watch: bool,
    },
    /// Replace a tenant's categories on the platform
    SetCategories {
        /// Its id
        tenant: String,
        /// The slug of the primary category
        primary: String,
        /// The slugs of up to 9 additional ones
        additional: Vec<String>,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Syncs {
    /// Only of this cause, such as merchant_edited; may be given several times
    #[arg(long)]
    pub(crate) cause: Vec<SyncCause>,
    /// Only those of this organization
    #[arg(long)]
    pub(crate) organization: Option<String>,
    /// Only those that a person has to decide about
    #[arg(long)]
    pub(crate) contested: bool,
    /// Only those that are out of sync
    #[arg(long)]
    pub(crate) out_of_sync: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct TenantFields {
    /// The store's name for people
    #[arg(long)]
    pub(crate) display_name: Option<String>,
    /// The chain it belongs to
    #[arg(long)]
    pub(crate) organization: Option<String>,
    /// The GBP account that holds the location
    #[arg(long, requires = "location")]
    pub(crate) account: Option<String>,
    /// The GBP location
    #[arg(long, requires = "account")]
    pub(crate) location: Option<String>,
    /// CLDR region code, such as US
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// BCP 47 language code, such as en
    #[arg(long)]
    pub(crate) language: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Categories {
    /// List platform categories by slug
    List {
        /// Only those without a mapping
        #[arg(long)]
        unmapped: bool,
    },
    /// Show a platform category
    Get {
        /// Its slug
        slug: String,
    },
    /// Create a platform category
    Create {
        /// Its slug
        slug: String,
        #[command(flatten)]
        fields: CategoryFields,
    },
    /// Change what is given, and nothing else; an empty mapping takes it away
    Update {
        /// Its slug
        slug: String,
        #[command(flatten)]
        fields: CategoryFields,
    },
    /// Delete a platform category that no tenant has
    Delete {
        /// Its slug
        slug: String,
    },
    /// Create or change what a file holds: a JSON object a line, with slug, display_name, gbp_category and regional_gbp_categories; each
    /// good line is taken
    Import(Import),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Import {
    /// The file
    pub(crate) file: PathBuf,
    /// Say what would happen, and change nothing
    #[arg(long)]
    pub(crate) validate_only: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct CategoryFields {
    /// The platform's name for people
    #[arg(long)]
    pub(crate) display_name: Option<String>,
    /// The GBP category it maps to, such as gcid:bakery
    #[arg(long)]
    pub(crate) gbp_category: Option<String>,
    /// A region where it maps to something else, such as IN=gcid:bakery, or to nothing, such as IN=; all of them, if any is changed
    #[arg(long, value_parser = regional)]
    pub(crate) regional: Vec<(String, String)>,
}

fn regional(text: &str) -> Result<(String, String), &'static str> {
    let (region, category) = text.split_once('=').ok_or("must be REGION=GCID")?;
    Ok((region.to_owned(), category.to_owned()))
}
