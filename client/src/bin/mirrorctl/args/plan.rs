//! Plans, and what is asked for with them.

use clap::{Args, Subcommand};

/// Guards to override.
#[derive(Debug, Args)]
pub(crate) struct OverrideArgs {
    /// Guards to override for this one run, with commas: primary_change, removals, removed_share, first_run_removals
    #[arg(long = "override-guard", value_name = "GUARD", value_delimiter = ',', requires = "reason")]
    pub(crate) guards: Vec<String>,
    /// Why it is overridden; kept with the run
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
    /// Show the plan of a run, for a ticket with --output markdown
    Get {
        /// tenants/{tenant}/runs/{run}, or the run's id
        run: String,
    },
}
