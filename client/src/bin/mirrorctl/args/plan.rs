//! Plans, and the guards that are overridden for them.

use clap::{Args, Subcommand};

/// Guards to override.
#[derive(Debug, Args)]
pub(crate) struct OverrideArgs {
    /// Guards to override for this run only, separated by commas: primary_change, removals, removed_share, first_run_removals
    #[arg(long = "override-guard", value_name = "GUARD", value_delimiter = ',', requires = "reason")]
    pub(crate) guards: Vec<String>,
    /// Reason for overriding the guards, stored with the run
    #[arg(long, requires = "guards")]
    pub(crate) reason: Option<String>,
}

impl OverrideArgs {
    /// The guards and the reason, where there are any.
    pub(crate) fn given(self) -> Option<(Vec<String>, String)> {
        Some((self.guards, self.reason?))
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum PlanCommand {
    /// Show the plan of a run
    Get {
        /// Id or name of the run
        run: String,
    },
}
