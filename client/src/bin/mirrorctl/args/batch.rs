//! Batches.

use category_mirror_client::Strategy;
use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum BatchCommand {
    /// Ask for a run of many tenants
    Create(CreateBatchArgs),
    /// List batches, newest first
    List {
        /// At most so many
        #[arg(long, short = 'n', default_value_t = 20)]
        limit: usize,
    },
    /// Show how far a batch is
    Get {
        /// batches/{batch}, or the batch's id
        batch: String,
    },
    /// Show its runs as they change, until it is over
    Watch {
        /// batches/{batch}, or the batch's id
        batch: String,
    },
    /// Cancel what has not begun to write
    Cancel {
        /// batches/{batch}, or the batch's id
        batch: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CreateBatchArgs {
    /// Which side wins: platform_to_gbp or gbp_to_platform
    #[arg(long)]
    pub(crate) strategy: Strategy,
    #[command(flatten)]
    pub(crate) target: BatchTargetArgs,
    /// How many tenants you expect to touch; any other number is refused
    #[arg(long)]
    pub(crate) confirm_tenant_count: Option<u32>,
    /// Only plan, write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Guards to override, with commas: of the batch, batch_tenants and batch_primary; of its runs, primary_change, removals,
    /// removed_share and first_run_removals, with --confirm-override-count
    #[arg(long = "override-guard", value_name = "GUARD", value_delimiter = ',', requires = "reason")]
    pub(crate) override_guards: Vec<String>,
    /// For how many runs the guards of runs are overridden: what the last dry batch says; any other number is refused
    #[arg(long, requires = "override_guards")]
    pub(crate) confirm_override_count: Option<u32>,
    /// Why they are overridden; it is kept with the batch
    #[arg(long, requires = "override_guards")]
    pub(crate) reason: Option<String>,
    /// Show how it goes on, until it is over
    #[arg(long)]
    pub(crate) wait: bool,
    /// Asking again with the same id within 24 h returns the first answer
    #[arg(long)]
    pub(crate) request_id: Option<String>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct BatchTargetArgs {
    /// The tenants of this organization
    #[arg(long)]
    pub(crate) organization: Option<String>,
    /// Every tenant
    #[arg(long, requires = "confirm_tenant_count")]
    pub(crate) all_tenants: bool,
}
