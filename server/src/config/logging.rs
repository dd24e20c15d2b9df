//! How to log.

use std::io::{self, IsTerminal};

use clap::{Args, ValueEnum};
use tracing_subscriber::{EnvFilter, fmt};

use super::ConfigError;

/// Logging, to stderr.
#[derive(Debug, Args)]
#[command(next_help_heading = "Logging")]
pub struct LogArgs {
    /// `text`, lines for people, or `json`, one object a line
    #[arg(
        long,
        env = "LOG_FORMAT",
        value_name = "text|json",
        hide_possible_values = true,
        default_value = "text",
        global = true
    )]
    pub log_format: LogFormat,
    /// What is logged, such as `info` or `category_mirror=debug,sqlx=warn`
    #[arg(long, env = "RUST_LOG", value_name = "FILTER", global = true)]
    pub rust_log: Option<String>,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

impl LogArgs {
    /// Starts logging, once a process; `default` is the filter where RUST_LOG names none.
    ///
    /// # Errors
    /// A filter that cannot be read.
    pub fn start(&self, default: &str) -> Result<(), ConfigError> {
        let filter = self.rust_log.as_deref().filter(|filter| !filter.is_empty()).unwrap_or(default);
        let filter = EnvFilter::try_new(filter).map_err(|error| ConfigError(format!("RUST_LOG={filter}: {error}")))?;
        let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let lines = fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(colour);
        // A second start, in tests, keeps the first one's settings.
        let _ = match self.log_format {
            LogFormat::Text => lines.try_init(),
            LogFormat::Json => lines.json().flatten_event(true).try_init(),
        };
        Ok(())
    }
}
