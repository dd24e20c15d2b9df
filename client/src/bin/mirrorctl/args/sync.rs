//! Whether tenants are in sync, and decisions.

use category_mirror_client::{SyncCause, SyncDecision};
use clap::{Args, Subcommand};

use super::values::{CAUSES, DECISIONS, one_of};

#[derive(Debug, Subcommand)]
pub(crate) enum SyncCommand {
    /// Show both sides of a tenant, and the cause if they differ
    Get {
        /// Tenant, an id or tenants/{id}
        tenant: String,
    },
    /// List tenants with their drift cause as of the last observation
    List(ListSyncsArgs),
    /// Decide about a tenant that is in conflict or is to be left unchanged
    Decide {
        /// Tenant, an id or tenants/{id}
        tenant: String,
        /// Decision to record
        #[arg(value_parser = one_of::<SyncDecision>(&DECISIONS))]
        decision: SyncDecision,
        /// Reason for the decision, stored with it
        #[arg(long)]
        reason: String,
        /// Guards to override for the run that executes the decision, separated by commas: primary_change, removals, removed_share,
        /// first_run_removals
        #[arg(long = "override-guard", value_name = "GUARD", value_delimiter = ',')]
        override_guards: Vec<String>,
        /// Wait until the run that executes the decision has ended, showing each change
        #[arg(long)]
        wait: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ListSyncsArgs {
    /// List only tenants with this drift cause; can be repeated
    #[arg(long, value_parser = one_of::<SyncCause>(&CAUSES))]
    pub(crate) cause: Vec<SyncCause>,
    /// List only tenants of this organization
    #[arg(long)]
    pub(crate) organization: Option<String>,
    /// List only tenants that are in conflict and need a decision
    #[arg(long)]
    pub(crate) in_conflict: bool,
    /// List only tenants that are out of sync
    #[arg(long)]
    pub(crate) out_of_sync: bool,
}
