//! Whether tenants are in sync, and decisions.

use category_mirror_client::{SyncCause, SyncDecision};
use clap::{Args, Subcommand};

use super::values::{CAUSES, DECISIONS, one_of};

#[derive(Debug, Subcommand)]
pub(crate) enum SyncCommand {
    /// Show both sides of a tenant, and why they differ if they do
    Get {
        /// Tenant, an id or tenants/{id}
        tenant: String,
    },
    /// List tenants with their drift cause, as runs last observed them
    List(ListSyncsArgs),
    /// Decide about a tenant in conflict, or one that is to be left alone
    Decide {
        /// Tenant, an id or tenants/{id}
        tenant: String,
        /// Decision to record
        #[arg(value_parser = one_of::<SyncDecision>(&DECISIONS))]
        decision: SyncDecision,
        /// Why, for the record
        #[arg(long)]
        reason: String,
        /// Guards to override for the run that executes the decision, separated by commas: primary_change, removals, removed_share,
        /// first_run_removals
        #[arg(long = "override-guard", value_name = "GUARD", value_delimiter = ',')]
        override_guards: Vec<String>,
        /// Wait until the run that executes the decision has ended, and show each change
        #[arg(long)]
        wait: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ListSyncsArgs {
    /// List only tenants with this drift cause; may be given several times
    #[arg(long, value_parser = one_of::<SyncCause>(&CAUSES))]
    pub(crate) cause: Vec<SyncCause>,
    /// List only tenants of this organization
    #[arg(long)]
    pub(crate) organization: Option<String>,
    /// List only tenants in conflict, which need a decision
    #[arg(long)]
    pub(crate) in_conflict: bool,
    /// List only tenants that are out of sync
    #[arg(long)]
    pub(crate) out_of_sync: bool,
}
