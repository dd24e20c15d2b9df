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
    /// Change the given fields, and no others. --add-… and --remove-… change a list by single names; --tenants and its like replace a list as
    /// a whole, and need --replace where that removes names
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
    /// List changes of flags, newest first: who, when and why
    History {
        /// List only changes of this flag
        flag: Option<String>,
        /// Maximum number of changes to list
        #[arg(long, short = 'n', default_value_t = 20)]
        limit: usize,
    },
}

/// For which tenants a flag is on.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum State {
    /// No tenant
    Off,
    /// All tenants but the excluded ones
    On,
    /// The pilot and the percentage, but not the excluded tenants
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
    /// For which tenants the flag is on
    #[arg(long)]
    pub(crate) state: Option<State>,
    /// Share of the tenants that are not listed, 0 to 100
    #[arg(long)]
    pub(crate) percent: Option<f64>,
    #[command(flatten)]
    pub(crate) lists: FlagListArgs,
    /// Revision that the flag must have; otherwise the change is refused
    #[arg(long, value_name = "NUMBER")]
    pub(crate) expected_revision: Option<i64>,
    /// Why, for the record
    #[arg(long)]
    pub(crate) reason: Option<String>,
}

/// Changes of a flag's lists: names with commas between them, or the option several times.
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
    /// Tenants to add to those that the flag is never on for
    #[arg(long, value_delimiter = ',', conflicts_with = "excluded_tenants")]
    pub(crate) add_excluded_tenants: Vec<String>,
    /// Tenants to remove from those that the flag is never on for
    #[arg(long, value_delimiter = ',', conflicts_with = "excluded_tenants")]
    pub(crate) remove_excluded_tenants: Vec<String>,
    /// Organizations to add to those that the flag is never on for
    #[arg(long, value_delimiter = ',', conflicts_with = "excluded_organizations")]
    pub(crate) add_excluded_organizations: Vec<String>,
    /// Organizations to remove from those that the flag is never on for
    #[arg(long, value_delimiter = ',', conflicts_with = "excluded_organizations")]
    pub(crate) remove_excluded_organizations: Vec<String>,
    /// All tenants of the pilot: replaces the list; empty for none
    #[arg(long)]
    pub(crate) tenants: Option<String>,
    /// All organizations of the pilot: replaces the list; empty for none
    #[arg(long)]
    pub(crate) organizations: Option<String>,
    /// All tenants that the flag is never on for: replaces the list; empty for none
    #[arg(long)]
    pub(crate) excluded_tenants: Option<String>,
    /// All organizations that the flag is never on for: replaces the list; empty for none
    #[arg(long)]
    pub(crate) excluded_organizations: Option<String>,
    /// Confirm that replacing a list removes names from it
    #[arg(long)]
    pub(crate) replace: bool,
    /// Accept tenants and organizations that do not exist yet
    #[arg(long)]
    pub(crate) allow_unknown: bool,
}

impl FlagListArgs {
    /// Whether any list is to change.
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
