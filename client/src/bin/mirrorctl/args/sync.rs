//! How tenants stand, and what is decided about them.

use category_mirror_client::{SyncCause, SyncDecision};
use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum SyncCommand {
    /// Show how a tenant's two sides stand, and why they differ if they do
    Get {
        /// The tenant
        tenant: String,
    },
    /// List how tenants stand, as runs have observed them
    List(ListSyncsArgs),
    /// Decide about a tenant whose value is overwritten again and again, or that is to be left alone
    Decide {
        /// The tenant
        tenant: String,
        /// accept_google, push_again or ignore
        decision: SyncDecision,
        /// Why, for the record
        #[arg(long)]
        reason: String,
        /// Guards to override for the run that executes the decision, with commas: primary_change, removals, removed_share,
        /// first_run_removals
        #[arg(long = "override-guard", value_name = "GUARD", value_delimiter = ',')]
        override_guards: Vec<String>,
        /// Show how the run goes on that executes the decision, until it ends
        #[arg(long)]
        wait: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ListSyncsArgs {
    /// Only of this cause, such as merchant_edited; may be given several times
    #[arg(long)]
    pub(crate) cause: Vec<SyncCause>,
    /// Only those of this organization
    #[arg(long)]
    pub(crate) organization: Option<String>,
    /// Only those in conflict, which a person has to decide about
    #[arg(long)]
    pub(crate) in_conflict: bool,
    /// Only those that are out of sync
    #[arg(long)]
    pub(crate) out_of_sync: bool,
}
