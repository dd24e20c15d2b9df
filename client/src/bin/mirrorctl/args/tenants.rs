//! Keeping tenants, and how they stand.

use category_mirror_client::{SyncCause, SyncDecision};
use clap::{Args, Subcommand};

use super::Import;

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
        /// Guards to override for the run that executes the decision, with commas: primary_change, removals, removed_share,
        /// first_run_removals
        #[arg(long = "override", value_delimiter = ',')]
        override_guards: Vec<String>,
        /// Show how the run goes on that executes the decision, until it ends
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

#[derive(Debug, Args)]
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

#[derive(Debug, Args)]
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
