//! Runs.

use std::time::Duration;

use category_mirror_client::{GbpView, RunState, Strategy};
use clap::{Args, Subcommand};
use humantime::parse_duration;

use super::{
    OverrideArgs,
    values::{RUN_STATES, STRATEGIES, VIEWS, one_of},
};

#[derive(Debug, Args)]
pub(crate) struct CreateRunArgs {
    /// Tenant to sync, an id or tenants/{id}
    pub(crate) tenant: String,
    /// Strategy: which side wins
    #[arg(long, value_parser = one_of::<Strategy>(&STRATEGIES))]
    pub(crate) strategy: Strategy,
    /// Only plan, without writing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Wait until the run has ended, showing each change
    #[arg(long)]
    pub(crate) wait: bool,
    /// Idempotency key: a request with the same id within 24 hours gets the first response
    #[arg(long, value_name = "ID")]
    pub(crate) request_id: Option<String>,
    /// Dry run whose plan is applied, exactly or not at all
    #[arg(long, value_name = "RUN", conflicts_with = "dry_run")]
    pub(crate) plan: Option<String>,
    /// Google's record to read, for gbp_to_platform
    #[arg(long, value_name = "VIEW", value_parser = one_of::<GbpView>(&VIEWS))]
    pub(crate) gbp_view: Option<GbpView>,
    #[command(flatten)]
    pub(crate) overrides: OverrideArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RunCommand {
    /// Start a run
    Create(CreateRunArgs),
    /// Show a run with its plan
    Get {
        /// Id or name of the run
        run: String,
    },
    /// Show the newest run of a tenant and strategy
    Last {
        /// Tenant, an id or tenants/{id}
        tenant: String,
        /// Strategy of the run
        #[arg(value_parser = one_of::<Strategy>(&STRATEGIES))]
        strategy: Strategy,
    },
    /// Cancel a run that has not begun to write
    Cancel {
        /// Id or name of the run
        run: String,
    },
    /// Revert a run, if its target is still as the run left it
    Revert {
        /// Id or name of the run
        run: String,
        /// Only plan the revert, without writing
        #[arg(long)]
        dry_run: bool,
        /// Wait until the run has ended, showing each change
        #[arg(long)]
        wait: bool,
        #[command(flatten)]
        overrides: OverrideArgs,
    },
    /// List runs, newest first
    List(ListRunsArgs),
    /// Count runs by result, and failures by reason
    Stats {
        /// Count only this tenant's runs
        #[arg(long)]
        tenant: Option<String>,
        /// Count only this organization's runs
        #[arg(long)]
        organization: Option<String>,
        /// Length of the period, which ends now, such as 24h or 7days
        #[arg(long, default_value = "24h", value_parser = parse_duration, value_name = "DURATION")]
        window: Duration,
    },
    /// Show a run as it changes, until it has ended; without a run, show all runs until interrupted
    Watch {
        /// Id or name of the run
        #[arg(conflicts_with_all = ["tenant", "organization"])]
        run: Option<String>,
        /// Watch only this tenant's runs
        #[arg(long)]
        tenant: Option<String>,
        /// Watch only this organization's runs
        #[arg(long, conflicts_with = "tenant")]
        organization: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ListRunsArgs {
    /// List only this tenant's runs
    #[arg(long)]
    pub(crate) tenant: Option<String>,
    /// List only this organization's runs
    #[arg(long)]
    pub(crate) organization: Option<String>,
    /// List only this batch's runs
    #[arg(long)]
    pub(crate) batch: Option<String>,
    /// List only runs of this strategy
    #[arg(long, value_parser = one_of::<Strategy>(&STRATEGIES))]
    pub(crate) strategy: Option<Strategy>,
    /// List only runs in this state; can be repeated
    #[arg(long, value_parser = one_of::<RunState>(&RUN_STATES))]
    pub(crate) state: Vec<RunState>,
    /// List only dry runs (true), or only real ones (false)
    #[arg(long, value_name = "true|false", hide_possible_values = true)]
    pub(crate) dry_run: Option<bool>,
    /// List only runs with this reason, such as UNMAPPED_PRIMARY
    #[arg(long)]
    pub(crate) reason: Option<String>,
    /// List only runs that this caller started
    #[arg(long)]
    pub(crate) caller: Option<String>,
    /// List only runs accepted within this time, such as 2h
    #[arg(long, value_parser = parse_duration, value_name = "DURATION")]
    pub(crate) since: Option<Duration>,
    /// List only ended runs that found differences
    #[arg(long)]
    pub(crate) out_of_sync: bool,
    /// Maximum number of runs to list
    #[arg(long, short = 'n', default_value_t = 20)]
    pub(crate) limit: usize,
}
