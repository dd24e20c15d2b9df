//! Switching features on and off.

use category_mirror_client::FlagState;
use clap::{Args as ClapArgs, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum Flags {
    /// List the feature flags
    List,
    /// Show a flag
    Get {
        /// Its name, such as FF_CATEGORY_MIRRORING
        flag: String,
    },
    /// Change what is given, and nothing else; a list is replaced as a whole, and an empty one takes it away
    Update {
        /// Its name
        flag: String,
        #[command(flatten)]
        fields: FlagFields,
    },
    /// Say whether a flag is on for a tenant, and why
    Evaluate {
        /// Its name
        flag: String,
        /// The tenant
        tenant: String,
    },
    /// List who changed flags, when and why, newest first
    Changes {
        /// Only those of this flag
        flag: Option<String>,
        /// At most so many
        #[arg(long, short = 'n', default_value_t = 20)]
        limit: usize,
    },
}

/// Whom a flag is on for.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum State {
    /// Nobody
    Off,
    /// Everybody but the excluded
    On,
    /// The pilot and the percentage, but not the excluded
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
pub(crate) struct FlagFields {
    /// Whom it is on for
    #[arg(long)]
    pub(crate) state: Option<State>,
    /// How many of the tenants that are not listed, 0 to 100
    #[arg(long)]
    pub(crate) percent: Option<f64>,
    /// The tenants in the pilot, with commas between them
    #[arg(long)]
    pub(crate) tenants: Option<String>,
    /// The organizations in the pilot, with commas between them
    #[arg(long)]
    pub(crate) organizations: Option<String>,
    /// The tenants it is never on for, with commas between them
    #[arg(long)]
    pub(crate) excluded_tenants: Option<String>,
    /// The organizations it is never on for, with commas between them
    #[arg(long)]
    pub(crate) excluded_organizations: Option<String>,
    /// Refuse when it is not this revision any more
    #[arg(long)]
    pub(crate) expected_revision: Option<i64>,
    /// Why, for the record
    #[arg(long)]
    pub(crate) reason: Option<String>,
}
