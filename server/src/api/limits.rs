//! What the interface lets in at once, so that one caller cannot take everything and nobody waits for ever.

use std::time::Duration;

use crate::connections::ConnectionLimits;

/// The limits of one process.
#[derive(Debug, Clone, Copy)]
pub struct CallLimits {
    /// Calls a second for one subject; 0 is no limit.
    pub rate: u32,
    /// Calls that a subject who was quiet may make at once; at least 1 is taken.
    pub burst: u32,
    /// Streams that one subject may have open.
    pub max_streams_per_subject: usize,
    /// Streams that may be open in total.
    pub max_streams: usize,
    /// Batches that one subject may have that have not ended.
    pub max_batches_per_subject: usize,
    /// Connections to the database that calls share: callers and methods have shares of them.
    pub database_connections: u32,
    /// The longest that a call may take, and that the opening of a stream may.
    pub call_timeout: Duration,
    /// Bytes that all requests together may hold while they are read and answered. One caller or connection gets a third of them.
    pub request_memory: usize,
    /// The limits of connections.
    pub connections: ConnectionLimits,
}

impl Default for CallLimits {
    fn default() -> Self {
        Self {
            rate: 2000,
            burst: 4000,
            max_streams_per_subject: 1000,
            max_streams: 20_000,
            max_batches_per_subject: 1000,
            database_connections: 20,
            call_timeout: Duration::from_secs(30),
            request_memory: 96 * 1024 * 1024,
            connections: ConnectionLimits::default(),
        }
    }
}
