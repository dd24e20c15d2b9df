//! Keeping tenants.

use clap::{Args, Subcommand};

use super::ImportArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum TenantCommand {
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
        fields: TenantFieldArgs,
    },
    /// Change what is given, and nothing else; an empty organization or account and location take them away
    Update {
        /// Its id
        tenant: String,
        #[command(flatten)]
        fields: TenantFieldArgs,
    },
    /// Delete a tenant; its runs stay in the logs
    Delete {
        /// Its id
        tenant: String,
    },
    /// Create or change what a file holds: a JSON object a line, with tenant, display_name, organization, gbp_account, gbp_location,
    /// region_code, language_code, primary and additional; each good line is taken
    Import(ImportArgs),
    /// Show a tenant's categories on the platform
    GetCategories {
        /// Its id
        tenant: String,
    },
    /// Replace a tenant's categories on the platform
    SetCategories {
        /// Its id
        tenant: String,
        /// The slug of the primary category
        #[arg(long, value_name = "SLUG")]
        primary: String,
        /// The slugs of up to 9 additional ones
        #[arg(long, value_name = "SLUG", value_delimiter = ',')]
        additional: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct TenantFieldArgs {
    /// The store's name for people
    #[arg(long)]
    pub(crate) display_name: Option<String>,
    /// The chain it belongs to
    #[arg(long)]
    pub(crate) organization: Option<String>,
    /// The GBP account that holds the location
    #[arg(long, requires = "gbp_location")]
    pub(crate) gbp_account: Option<String>,
    /// The GBP location
    #[arg(long, requires = "gbp_account")]
    pub(crate) gbp_location: Option<String>,
    /// CLDR region code, such as US
    #[arg(long)]
    pub(crate) region_code: Option<String>,
    /// BCP 47 language code, such as en
    #[arg(long)]
    pub(crate) language_code: Option<String>,
}
