//! Limits of calls, streams, memory and connections.

use std::time::Duration;

use clap::Args;

use super::duration::positive_duration;
use crate::{api::CallLimits, connections::ConnectionLimits};

/// Limits of calls, streams, memory and connections.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// Calls per second and subject. Excess calls fail with RESOURCE_EXHAUSTED and the time to wait. 0: no limit
    #[arg(long, env = "RATE_LIMIT_PER_SECOND", value_name = "N", default_value_t = CallLimits::default().rate)]
    pub rate_limit_per_second: u32,
    /// Calls that an idle subject may make at once, at least 1 [default: twice RATE_LIMIT_PER_SECOND]
    #[arg(long, env = "RATE_LIMIT_BURST", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub rate_limit_burst: Option<u32>,
    /// Maximum number of open streams per subject, from 1 to 1000000
    #[arg(long, env = "MAX_STREAMS_PER_SUBJECT", value_name = "N", default_value_t = CallLimits::default().max_streams_per_subject, value_parser = streams)]
    pub max_streams_per_subject: usize,
    /// Maximum number of open streams in total, from 1 to 1000000
    #[arg(long, env = "MAX_STREAMS", value_name = "N", default_value_t = CallLimits::default().max_streams, value_parser = streams)]
    pub max_streams: usize,
    /// Maximum number of batches per subject that have not ended, from 1 to 1000000. Further ones fail with
    /// RESOURCE_EXHAUSTED
    #[arg(long, env = "MAX_BATCHES_PER_SUBJECT", value_name = "N", default_value_t = CallLimits::default().max_batches_per_subject, value_parser = streams)]
    pub max_batches_per_subject: usize,
    /// Maximum duration of a call. Callers can set a shorter one (grpc-timeout). Streams are exempt
    #[arg(long, env = "CALL_TIMEOUT", value_name = "DURATION", default_value = "30s", value_parser = positive_duration)]
    pub call_timeout: Duration,
    /// Maximum number of bytes that all requests together may hold in memory, at least 67108864. A single caller or
    /// connection may use a third of them
    #[arg(long, env = "REQUEST_MEMORY_BYTES", value_name = "BYTES", default_value_t = CallLimits::default().request_memory, value_parser = request_memory)]
    pub request_memory_bytes: usize,
    /// Maximum number of open connections on LISTEN_ADDR, from 1 to 1000000. The effective limit is lower if the process
    /// may open fewer files
    #[arg(long, env = "MAX_CONNECTIONS", value_name = "N", default_value_t = ConnectionLimits::default().max_connections, value_parser = streams)]
    pub max_connections: usize,
    /// Maximum number of open connections per address, or per /64 network for IPv6, from 1 to 1000000. Raise it behind
    /// a proxy
    #[arg(long, env = "MAX_CONNECTIONS_PER_ADDRESS", value_name = "N", default_value_t = ConnectionLimits::default().max_per_address, value_parser = streams)]
    pub max_connections_per_address: usize,
    /// Maximum duration of each step of a new connection: TLS, the HTTP/2 preface, and the headers of the first call
    #[arg(long, env = "CONNECTION_HANDSHAKE_TIMEOUT", value_name = "DURATION", default_value = "10s", value_parser = positive_duration)]
    pub connection_handshake_timeout: Duration,
    /// Age, plus or minus a tenth, at which the server closes a connection, so that load balancers can redistribute
    /// calls
    #[arg(long, env = "MAX_CONNECTION_AGE", value_name = "DURATION", default_value = "1h", value_parser = positive_duration)]
    pub max_connection_age: Duration,
    /// Time that open calls have to complete once a connection reaches this age. Streams end immediately and can be
    /// reopened
    #[arg(long, env = "MAX_CONNECTION_AGE_GRACE", value_name = "DURATION", default_value = "30s", value_parser = positive_duration)]
    pub max_connection_age_grace: Duration,
}

/// Minimum of REQUEST_MEMORY_BYTES: a third of it has room for an import of maximum size.
const MIN_REQUEST_MEMORY: usize = 64 * 1024 * 1024;

fn request_memory(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(bytes) if bytes >= MIN_REQUEST_MEMORY => Ok(bytes),
        _ => Err(format!("must be a number of bytes, at least {MIN_REQUEST_MEMORY}")),
    }
}

/// The maximum is far above what a process can hold open, and small enough for every counter.
fn streams(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if (1..=1_000_000).contains(&n) => Ok(n),
        _ => Err("must be a number from 1 to 1000000".to_owned()),
    }
}

impl LimitArgs {
    /// Returns the limits.
    #[must_use]
    pub fn limits(&self) -> CallLimits {
        CallLimits {
            rate: self.rate_limit_per_second,
            burst: self.rate_limit_burst.unwrap_or(self.rate_limit_per_second.saturating_mul(2)),
            max_streams_per_subject: self.max_streams_per_subject,
            max_streams: self.max_streams,
            max_batches_per_subject: self.max_batches_per_subject,
            // As many as the pool of the server has.
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
