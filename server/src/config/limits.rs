//! How much the server lets in.

use std::time::Duration;

use clap::Args;

use super::duration::positive_duration;
use crate::api::Limits;

/// The limits of calls and streams.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// Calls a second that are taken from one subject; the others are told when to come back; 0 is no limit
    #[arg(long, env = "RATE_LIMIT", value_name = "N", default_value_t = Limits::default().rate)]
    pub rate_limit: u32,
    /// Calls that a subject who was quiet may make at once [default: twice the RATE_LIMIT]
    #[arg(long, env = "RATE_LIMIT_BURST", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub rate_limit_burst: Option<u32>,
    /// Streams that one subject may have open
    #[arg(long, env = "STREAMS_PER_SUBJECT", value_name = "N", default_value_t = Limits::default().streams_per_subject, value_parser = streams)]
    pub streams_per_subject: usize,
    /// Streams that may be open in total
    #[arg(long, env = "MAX_STREAMS", value_name = "N", default_value_t = Limits::default().max_streams, value_parser = streams)]
    pub max_streams: usize,
    /// Batches that one subject may have that have not ended; more fail with RESOURCE_EXHAUSTED
    #[arg(long, env = "BATCHES_PER_SUBJECT", value_name = "N", default_value_t = Limits::default().batches_per_subject, value_parser = streams)]
    pub batches_per_subject: usize,
    /// The longest that a call may take; callers can ask for less (grpc-timeout), and streams are exempt
    #[arg(long, env = "CALL_TIMEOUT", value_name = "DURATION", default_value = "30s", value_parser = positive_duration)]
    pub call_timeout: Duration,
}

/// Far above what a process can hold open, and small enough to be counted everywhere.
fn streams(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if (1..=1_000_000).contains(&n) => Ok(n),
        _ => Err("must be a number from 1 to 1000000".to_owned()),
    }
}

impl LimitArgs {
    /// The limits.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            rate: self.rate_limit,
            burst: self.rate_limit_burst.unwrap_or(self.rate_limit.saturating_mul(2)),
            streams_per_subject: self.streams_per_subject,
            max_streams: self.max_streams,
            batches_per_subject: self.batches_per_subject,
            // As many as the pool has that the service is started with.
            connections: Limits::default().connections,
            call_timeout: self.call_timeout,
        }
    }
}
