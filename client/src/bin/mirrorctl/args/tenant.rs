//! Keeping tenants.

use clap::{Args, Subcommand};

use super::{DeleteArgs, ImportArgs};

#[derive(Debug, Subcommand)]
pub(crate) enum TenantCommand {
    /// List tenants by id; `import` accepts the JSON output
    List {
        /// List only tenants of this organization
        #[arg(long)]
        organization: Option<String>,
    },
    /// Show a tenant
    Get {
        /// Id of the tenant
        tenant: String,
    },
    /// Create a tenant
    Create {
        /// Id of the tenant
        tenant: String,
        #[command(flatten)]
        fields: TenantFieldArgs,
    },
    /// Change only the given fields of a tenant; empty values remove the organization, or the account and location
    Update {
        /// Id of the tenant
        tenant: String,
        #[command(flatten)]
        fields: TenantFieldArgs,
    },
    /// Delete a tenant; its runs stay in the logs
    Delete {
        /// Id of the tenant
        tenant: String,
        #[command(flatten)]
        confirmation: DeleteArgs,
    },
    /// Create or change the tenants in a file, with tenant, display_name, organization, gbp_account, gbp_location, region_code, language_code,
    /// primary and additional (in CSV, separated by spaces). Valid lines are imported even if others are invalid; those are reported
    Import(ImportArgs),
    /// Show a tenant's categories on the platform
    GetCategories {
        /// Id of the tenant
        tenant: String,
    },
    /// Replace a tenant's categories on the platform
    SetCategories {
        /// Id of the tenant
        tenant: String,
        /// Slug of the primary category
        #[arg(long, value_name = "SLUG")]
        primary: String,
        /// Slugs of up to 9 additional categories, separated by commas
        #[arg(long, value_name = "SLUG", value_delimiter = ',')]
        additional: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct TenantFieldArgs {
    /// Display name of the store
    #[arg(long, value_name = "NAME")]
    pub(crate) display_name: Option<String>,
    /// Organization that the tenant belongs to
    #[arg(long)]
    pub(crate) organization: Option<String>,
    /// GBP account that holds the location
    #[arg(long, requires = "gbp_location", value_name = "ACCOUNT")]
    pub(crate) gbp_account: Option<String>,
    /// GBP location
    #[arg(long, requires = "gbp_account", value_name = "LOCATION")]
    pub(crate) gbp_location: Option<String>,
    /// CLDR region code, such as US
    #[arg(long, value_name = "REGION")]
    pub(crate) region_code: Option<String>,
    /// BCP 47 language code, such as en
    #[arg(long, value_name = "LANGUAGE")]
    pub(crate) language_code: Option<String>,
}
