//! Logging.

use std::io::{self, IsTerminal};

use clap::{Args, ValueEnum};
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt, dynamic_filter_fn, filter_fn},
    fmt,
    layer::SubscriberExt,
    registry,
    util::SubscriberInitExt,
};

use super::{ConfigError, log_fields::TextFields, log_json::JsonLines};
use crate::spans::{self, Exporter};

/// Libraries that process secrets in headers, bodies, handshakes and values, and the most verbose level that they may
/// log at, whatever RUST_LOG contains. Tests find no secret in the logs of their current versions, but any release may
/// change what they log in such detail.
const CAPPED: [(&str, Level); 10] = [
    ("axum", Level::INFO),
    ("h2", Level::INFO),
    ("hyper", Level::INFO),
    ("hyper_util", Level::INFO),
    ("reqwest", Level::INFO),
    ("rustls", Level::INFO),
    ("tokio_rustls", Level::INFO),
    ("tonic", Level::INFO),
    ("tower", Level::INFO),
    // At `debug`, it logs statements, in which all values are parameters.
    ("sqlx", Level::DEBUG),
];

/// Logging to standard error.
#[derive(Debug, Args)]
#[command(next_help_heading = "Logging")]
pub struct LogArgs {
    /// Format of log lines: `text` for people, or `json` with one object per line
    #[arg(
        long,
        env = "LOG_FORMAT",
        value_name = "text|json",
        hide_possible_values = true,
        default_value = "text",
        global = true
    )]
    pub log_format: LogFormat,
    /// Log filter, such as `info` or `category_mirror=debug,sqlx=warn`. Libraries that process secrets never log
    /// details
    #[arg(long, env = "RUST_LOG", value_name = "FILTER", global = true)]
    pub rust_log: Option<String>,
}

/// Format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

impl LogArgs {
    /// Starts logging, once per process. `default` is the filter if RUST_LOG is not set. `exporter` receives the spans
    /// for the collector.
    ///
    /// # Errors
    ///
    /// If the filter is invalid.
    pub fn start(&self, default: &str, exporter: Option<&Exporter>) -> Result<(), ConfigError> {
        // If a test starts logging again, the first configuration is kept.
        let _ = self.subscriber(default, exporter)?.try_init();
        Ok(())
    }

    fn subscriber(
        &self,
        default: &str,
        exporter: Option<&Exporter>,
    ) -> Result<Box<dyn Subscriber + Send + Sync>, ConfigError> {
        let filter = self.rust_log.as_deref().filter(|filter| !filter.is_empty()).unwrap_or(default);
        let filter = EnvFilter::try_new(filter).map_err(|error| ConfigError(format!("RUST_LOG={filter}: {error}")))?;
        let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        // A line that cannot be written is lost. Reporting that on the same standard error would panic and end the
        // thread.
        let lines = fmt::layer().with_writer(io::stderr).with_ansi(colour).log_internal_errors(false);
        let lines = match self.log_format {
            LogFormat::Text => lines.fmt_fields(TextFields).boxed(),
            LogFormat::Json => lines.json().flatten_event(true).with_writer(JsonLines).boxed(),
        };
        let Some(exporter) = exporter else {
            return Ok(Box::new(registry().with(lines).with(filter).with(filter_fn(is_for_the_log))));
        };
        // Evaluated for every event, not cached: if a library only asks whether an event would be logged, as sqlx does,
        // a cached answer would stay in the thread and be applied to the next event.
        let ours = dynamic_filter_fn(|metadata, _| is_for_the_log(metadata)).with_max_level_hint(Level::TRACE);
        let layers = vec![lines.with_filter(filter.and(ours)).boxed(), exporter.layer()];
        Ok(Box::new(registry().with(layers)))
    }
}

fn is_for_the_log(metadata: &Metadata<'_>) -> bool {
    let library = metadata.target().split("::").next().unwrap_or_default();
    metadata.target() != spans::TARGET
        && CAPPED.iter().all(|(capped, most)| *capped != library || metadata.level() <= most)
}

#[cfg(test)]
mod tests {
    use tracing::level_filters::LevelFilter;

    use super::*;

    #[test]
    fn a_level_that_nobody_listens_to_is_refused_before_anything_else_is_looked_at() {
        for (filter, most) in
            [("off", LevelFilter::OFF), ("warn", LevelFilter::WARN), ("info,sqlx=debug", LevelFilter::DEBUG)]
        {
            let log = LogArgs { log_format: LogFormat::Json, rust_log: Some(filter.to_owned()) };
            let subscriber = log.subscriber("off", None).expect("a filter");
            assert_eq!(subscriber.max_level_hint(), Some(most), "{filter}");
        }
    }
}
