//! Plans, and what is asked for with them.

use clap::{Args, Subcommand, ValueEnum};

/// Guards to lift.
#[derive(Debug, Args)]
pub(crate) struct Overrides {
    /// Guards to lift for this one run, with commas: primary_change, removals, removed_share, first_run_removals
    #[arg(long = "override", value_name = "GUARD", value_delimiter = ',', requires = "reason")]
    pub(crate) guards: Vec<String>,
    /// Why it is lifted; kept with the run
    #[arg(long, requires = "guards")]
    pub(crate) reason: Option<String>,
}

impl Overrides {
    /// The guards and the reason, where there are any.
    pub(crate) fn given(self) -> Option<(Vec<String>, String)> {
        Some((self.guards, self.reason?))
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Plan {
    /// Show the plan of a run
    Show {
        /// tenants/{tenant}/runs/{run}, or the run's id
        run: String,
        /// As what: lines, JSON, or Markdown for a ticket
        #[arg(long, default_value = "text")]
        format: Format,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
    Markdown,
}
