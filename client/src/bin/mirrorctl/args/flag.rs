//! Feature flags.

use category_mirror_client::FlagState;
use clap::{Args as ClapArgs, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum FlagCommand {
    /// List the feature flags
    List,
    /// Show a flag
    Get {
        /// Name of the flag, such as FF_CATEGORY_MIRRORING
        flag: String,
    },
    /// Change only the given fields of a flag. --add-… and --remove-… change single entries of a list; --tenants and the other list options
    /// replace the whole list, and require --replace if that removes entries
    Update {
        /// Name of the flag
        flag: String,
        #[command(flatten)]
        fields: Box<FlagFieldArgs>,
    },
    /// Show whether a flag is on for a tenant, and why
    Evaluate {
        /// Name of the flag
        flag: String,
        /// Tenant, an id or tenants/{id}
        tenant: String,
    },
    /// List changes of flags, newest first, with caller, time and reason
    History {
        /// List only changes of this flag
        flag: Option<String>,
        /// Maximum number of changes to list
        #[arg(long, short = 'n', default_value_t = 20)]
        limit: usize,
    },
}

/// The tenants for which a flag is on.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum State {
    /// No tenant
    Off,
    /// All tenants except the excluded ones
    On,
    /// The pilot and the percentage, except the excluded tenants
    Partial,
}

impl From<State> for FlagState {
    fn from(state: State) -> Self {
        match state {
            State::Off => Self::Off,
            State::On => Self::On,
            State::Partial => Self::Partial,
        }
    }
}

#[derive(Debug, ClapArgs)]
pub(crate) struct FlagFieldArgs {
    /// Tenants for which the flag is on
    #[arg(long)]
    pub(crate) state: Option<State>,
    /// Percentage of the tenants that are not listed, from 0 to 100
    #[arg(long)]
    pub(crate) percent: Option<f64>,
    #[command(flatten)]
    pub(crate) lists: FlagListArgs,
    /// Revision that the flag must have; if it differs, the change is refused
    #[arg(long, value_name = "NUMBER")]
    pub(crate) expected_revision: Option<i64>,
    /// Reason for the change, stored with it
    #[arg(long)]
    pub(crate) reason: Option<String>,
}

/// Changes of a flag's lists. Names are separated by commas, or the option is repeated.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Lists")]
pub(crate) struct FlagListArgs {
    /// Tenants to add to the pilot
    #[arg(long, value_delimiter = ',', conflicts_with = "tenants")]
    pub(crate) add_tenants: Vec<String>,
    /// Tenants to remove from the pilot
    #[arg(long, value_delimiter = ',', conflicts_with = "tenants")]
    pub(crate) remove_tenants: Vec<String>,
    /// Organizations to add to the pilot
    #[arg(long, value_delimiter = ',', conflicts_with = "organizations")]
    pub(crate) add_organizations: Vec<String>,
    /// Organizations to remove from the pilot
    #[arg(long, value_delimiter = ',', conflicts_with = "organizations")]
    pub(crate) remove_organizations: Vec<String>,
    /// Tenants to exclude: the flag is never on for them
    #[arg(long, value_delimiter = ',', conflicts_with = "excluded_tenants")]
    pub(crate) add_excluded_tenants: Vec<String>,
    /// Tenants to exclude no longer
    #[arg(long, value_delimiter = ',', conflicts_with = "excluded_tenants")]
    pub(crate) remove_excluded_tenants: Vec<String>,
    /// Organizations to exclude: the flag is never on for their tenants
    #[arg(long, value_delimiter = ',', conflicts_with = "excluded_organizations")]
    pub(crate) add_excluded_organizations: Vec<String>,
    /// Organizations to exclude no longer
    #[arg(long, value_delimiter = ',', conflicts_with = "excluded_organizations")]
    pub(crate) remove_excluded_organizations: Vec<String>,
    /// New list of all tenants of the pilot; an empty value clears it
    #[arg(long)]
    pub(crate) tenants: Option<String>,
    /// New list of all organizations of the pilot; an empty value clears it
    #[arg(long)]
    pub(crate) organizations: Option<String>,
    /// New list of all excluded tenants; an empty value clears it
    #[arg(long)]
    pub(crate) excluded_tenants: Option<String>,
    /// New list of all excluded organizations; an empty value clears it
    #[arg(long)]
    pub(crate) excluded_organizations: Option<String>,
    /// Confirm that replacing a list removes entries from it
    #[arg(long)]
    pub(crate) replace: bool,
    /// Accept tenants and organizations that do not exist yet
    #[arg(long)]
    pub(crate) allow_unknown: bool,
}

impl FlagListArgs {
    /// Whether any list changes.
    pub(crate) fn is_given(&self) -> bool {
        let edits = [
            &self.add_tenants,
            &self.remove_tenants,
            &self.add_organizations,
            &self.remove_organizations,
            &self.add_excluded_tenants,
            &self.remove_excluded_tenants,
            &self.add_excluded_organizations,
            &self.remove_excluded_organizations,
        ];
        let replacements = [&self.tenants, &self.organizations, &self.excluded_tenants, &self.excluded_organizations];
        edits.iter().any(|names| !names.is_empty()) || replacements.iter().any(|list| list.is_some())
    }
}
