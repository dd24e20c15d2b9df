//! Batches.

use category_mirror_client::Strategy;
use clap::{Args, Subcommand};

use super::values::{STRATEGIES, one_of};

#[derive(Debug, Subcommand)]
pub(crate) enum BatchCommand {
    /// Start a run for each of many tenants
    Create(CreateBatchArgs),
    /// List batches, newest first
    List {
        /// Maximum number of batches to list
        #[arg(long, short = 'n', default_value_t = 20)]
        limit: usize,
    },
    /// Show a batch and its counts
    Get {
        /// Id or name of the batch
        batch: String,
    },
    /// Show the runs of a batch as they change, until it has ended
    Watch {
        /// Id or name of the batch
        batch: String,
    },
    /// Cancel a batch, and its runs that have not begun to write
    Cancel {
        /// Id or name of the batch
        batch: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CreateBatchArgs {
    /// Which side wins
    #[arg(long, value_parser = one_of::<Strategy>(&STRATEGIES))]
    pub(crate) strategy: Strategy,
    #[command(flatten)]
    pub(crate) target: BatchTargetArgs,
    /// Number of tenants that you expect to touch; any other number is refused
    #[arg(long, value_name = "NUMBER")]
    pub(crate) confirm_tenant_count: Option<u32>,
    /// Plan only, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Guards to override, separated by commas: of the batch, batch_tenants and batch_primary; of its runs, primary_change, removals,
    /// removed_share and first_run_removals, with --confirm-override-count
    #[arg(long = "override-guard", value_name = "GUARD", value_delimiter = ',', requires = "reason")]
    pub(crate) override_guards: Vec<String>,
    /// Number of runs for which guards of runs are overridden, as the last dry batch shows it; any other number is refused
    #[arg(long, requires = "override_guards", value_name = "NUMBER")]
    pub(crate) confirm_override_count: Option<u32>,
    /// Why the guards are overridden; kept with the batch
    #[arg(long, requires = "override_guards")]
    pub(crate) reason: Option<String>,
    /// Wait until the batch has ended, and show its progress
    #[arg(long)]
    pub(crate) wait: bool,
    /// Name of this request: a request of the same name within 24 h gets the first one's answer
    #[arg(long, value_name = "ID")]
    pub(crate) request_id: Option<String>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct BatchTargetArgs {
    /// Organization whose tenants to sync
    #[arg(long)]
    pub(crate) organization: Option<String>,
    /// Sync all tenants
    #[arg(long, requires = "confirm_tenant_count")]
    pub(crate) all_tenants: bool,
}
