//! Batches.

use category_mirror_client::Strategy;
use clap::{Args, Subcommand};

use super::values::{STRATEGIES, one_of};

#[derive(Debug, Subcommand)]
pub(crate) enum BatchCommand {
    /// Create a batch: one run for each tenant of an organization, or for every tenant
    Create(CreateBatchArgs),
    /// List batches, newest first
    List {
        /// Maximum number of batches to list
        #[arg(long, short = 'n', default_value_t = 20)]
        limit: usize,
    },
    /// Show a batch with its progress
    Get {
        /// Id or name of the batch
        batch: String,
    },
    /// Show the runs of a batch as they change, until it has ended
    Watch {
        /// Id or name of the batch
        batch: String,
    },
    /// Cancel a batch and those of its runs that have not begun to write
    Cancel {
        /// Id or name of the batch
        batch: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CreateBatchArgs {
    /// Strategy: which side wins
    #[arg(long, value_parser = one_of::<Strategy>(&STRATEGIES))]
    pub(crate) strategy: Strategy,
    #[command(flatten)]
    pub(crate) target: BatchTargetArgs,
    /// Number of tenants that you expect the batch to include; if it differs, the batch is refused
    #[arg(long, value_name = "NUMBER")]
    pub(crate) confirm_tenant_count: Option<u32>,
    /// Only plan, without writing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Guards to override, separated by commas. Guards of the batch: batch_tenants, batch_primary. Guards of its runs, which require
    /// --confirm-override-count: primary_change, removals, removed_share, first_run_removals
    #[arg(long = "override-guard", value_name = "GUARD", value_delimiter = ',', requires = "reason")]
    pub(crate) override_guards: Vec<String>,
    /// Number of runs for which guards of runs are overridden, as shown by the last dry batch; if it differs, the batch is refused
    #[arg(long, requires = "override_guards", value_name = "NUMBER")]
    pub(crate) confirm_override_count: Option<u32>,
    /// Reason for overriding the guards, stored with the batch
    #[arg(long, requires = "override_guards")]
    pub(crate) reason: Option<String>,
    /// Wait until the batch has ended, showing its progress
    #[arg(long)]
    pub(crate) wait: bool,
    /// Idempotency key: a request with the same id within 24 hours gets the first response
    #[arg(long, value_name = "ID")]
    pub(crate) request_id: Option<String>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct BatchTargetArgs {
    /// Organization whose tenants are synced
    #[arg(long)]
    pub(crate) organization: Option<String>,
    /// Sync all tenants
    #[arg(long, requires = "confirm_tenant_count")]
    pub(crate) all_tenants: bool,
}
