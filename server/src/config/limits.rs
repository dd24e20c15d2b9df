//! How much the server lets in.

use std::time::Duration;

use clap::Args;

use super::duration::positive_duration;
use crate::{api::CallLimits, connections::ConnectionLimits};

/// The limits of calls and streams.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// Calls a second that are taken from one subject; the others are told when to come back; 0 is no limit
    #[arg(long, env = "RATE_LIMIT_PER_SECOND", value_name = "N", default_value_t = CallLimits::default().rate)]
    pub rate_limit_per_second: u32,
    /// Calls that a subject who was quiet may make at once [default: twice the RATE_LIMIT_PER_SECOND]
    #[arg(long, env = "RATE_LIMIT_BURST", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub rate_limit_burst: Option<u32>,
    /// Streams that one subject may have open
    #[arg(long, env = "MAX_STREAMS_PER_SUBJECT", value_name = "N", default_value_t = CallLimits::default().max_streams_per_subject, value_parser = streams)]
    pub max_streams_per_subject: usize,
    /// Streams that may be open in total
    #[arg(long, env = "MAX_STREAMS", value_name = "N", default_value_t = CallLimits::default().max_streams, value_parser = streams)]
    pub max_streams: usize,
    /// Batches that one subject may have that have not ended; more fail with RESOURCE_EXHAUSTED
    #[arg(long, env = "MAX_BATCHES_PER_SUBJECT", value_name = "N", default_value_t = CallLimits::default().max_batches_per_subject, value_parser = streams)]
    pub max_batches_per_subject: usize,
    /// The longest that a call may take; callers can ask for less (grpc-timeout), and streams are exempt
    #[arg(long, env = "CALL_TIMEOUT", value_name = "DURATION", default_value = "30s", value_parser = positive_duration)]
    pub call_timeout: Duration,
    /// Bytes that all requests together may hold in memory; one caller or connection gets a third of them; 67108864 at least
    #[arg(long, env = "REQUEST_MEMORY_BYTES", value_name = "BYTES", default_value_t = CallLimits::default().request_memory, value_parser = request_memory)]
    pub request_memory_bytes: usize,
    /// Connections that may be open on LISTEN_ADDR in total, from 1 to 1000000; fewer where the process may open fewer files
    #[arg(long, env = "MAX_CONNECTIONS", value_name = "N", default_value_t = ConnectionLimits::default().max_connections, value_parser = streams)]
    pub max_connections: usize,
    /// Connections that may be open from one address (of IPv6: one /64 network), from 1 to 1000000; raise it behind a proxy
    #[arg(long, env = "MAX_CONNECTIONS_PER_ADDRESS", value_name = "N", default_value_t = ConnectionLimits::default().max_per_address, value_parser = streams)]
    pub max_connections_per_address: usize,
    /// How long each step of a new connection may take: TLS, the HTTP/2 preface, and the headers of the first call
    #[arg(long, env = "CONNECTION_HANDSHAKE_TIMEOUT", value_name = "DURATION", default_value = "10s", value_parser = positive_duration)]
    pub connection_handshake_timeout: Duration,
    /// Age, give or take a tenth, at which a connection is asked to move on, so that load balancers can spread calls anew
    #[arg(long, env = "MAX_CONNECTION_AGE", value_name = "DURATION", default_value = "1h", value_parser = positive_duration)]
    pub max_connection_age: Duration,
    /// How long calls that are open at that age may take; streams end at once, and can be opened again
    #[arg(long, env = "MAX_CONNECTION_AGE_GRACE", value_name = "DURATION", default_value = "30s", value_parser = positive_duration)]
    pub max_connection_age_grace: Duration,
}

/// The least in which an import of the largest size fits into one caller's third.
const MIN_REQUEST_MEMORY: usize = 64 * 1024 * 1024;

fn request_memory(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(bytes) if bytes >= MIN_REQUEST_MEMORY => Ok(bytes),
        _ => Err(format!("must be a number of bytes, {MIN_REQUEST_MEMORY} at least")),
    }
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
    pub fn limits(&self) -> CallLimits {
        CallLimits {
            rate: self.rate_limit_per_second,
            burst: self.rate_limit_burst.unwrap_or(self.rate_limit_per_second.saturating_mul(2)),
            max_streams_per_subject: self.max_streams_per_subject,
            max_streams: self.max_streams,
            max_batches_per_subject: self.max_batches_per_subject,
            // As many as the pool has that the service is started with.
            database_connections: CallLimits::default().database_connections,
            call_timeout: self.call_timeout,
            request_memory: self.request_memory_bytes,
            connections: ConnectionLimits {
                max_connections: self.max_connections,
                max_per_address: self.max_connections_per_address,
                handshake_timeout: self.connection_handshake_timeout,
                max_age: self.max_connection_age,
                age_grace: self.max_connection_age_grace,
            },
        }
    }
}
