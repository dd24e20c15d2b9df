//! Asking for runs, and about them.

use std::time::Duration;

use category_mirror_client::{GbpView, RunState, Strategy};
use clap::{Args, Subcommand};
use humantime::parse_duration;

use super::OverrideArgs;

#[derive(Debug, Args)]
pub(crate) struct CreateRunArgs {
    /// The tenant, an id or tenants/{id}
    pub(crate) tenant: String,
    /// Which side wins: platform_to_gbp or gbp_to_platform
    #[arg(long)]
    pub(crate) strategy: Strategy,
    /// Only plan, write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Show how it goes on, until it ends
    #[arg(long)]
    pub(crate) wait: bool,
    /// Asking again with the same id within 24 h returns the first answer
    #[arg(long)]
    pub(crate) request_id: Option<String>,
    /// Apply exactly the plan of this dry run, or nothing
    #[arg(long, value_name = "RUN", conflicts_with = "dry_run")]
    pub(crate) plan: Option<String>,
    /// Which of Google's records is the source, where Google wins: merchant or public
    #[arg(long)]
    pub(crate) gbp_view: Option<GbpView>,
    #[command(flatten)]
    pub(crate) overrides: OverrideArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RunCommand {
    /// Ask for a run
    Create(CreateRunArgs),
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
        /// Only plan the revert
        #[arg(long)]
        dry_run: bool,
        /// Show how it goes on, until it ends
        #[arg(long)]
        wait: bool,
        #[command(flatten)]
        overrides: OverrideArgs,
    },
    /// List runs, newest first
    List(ListRunsArgs),
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
    /// Show how a run goes on, until it ends; without one, how all change, without end
    Watch {
        /// tenants/{tenant}/runs/{run}, or the run's id
        #[arg(conflicts_with_all = ["tenant", "organization"])]
        run: Option<String>,
        /// Only this tenant's
        #[arg(long)]
        tenant: Option<String>,
        /// Only this organization's
        #[arg(long, conflicts_with = "tenant")]
        organization: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ListRunsArgs {
    /// Only this tenant's
    #[arg(long)]
    pub(crate) tenant: Option<String>,
    /// Only this organization's
    #[arg(long)]
    pub(crate) organization: Option<String>,
    /// Only this batch's
    #[arg(long)]
    pub(crate) batch: Option<String>,
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
