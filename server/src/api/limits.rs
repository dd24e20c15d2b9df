//! Limits of the gRPC interface, so that one caller cannot use all capacity and no call waits indefinitely.

use std::time::Duration;

use crate::connections::ConnectionLimits;

/// The limits of one process.
#[derive(Debug, Clone, Copy)]
pub struct CallLimits {
    /// Calls per second and subject. 0: no limit.
    pub rate: u32,
    /// Calls that an idle subject may make at once. Values below 1 count as 1.
    pub burst: u32,
    /// Maximum number of open streams per subject.
    pub max_streams_per_subject: usize,
    /// Maximum number of open streams in total.
    pub max_streams: usize,
    /// Maximum number of batches per subject that have not ended.
    pub max_batches_per_subject: usize,
    /// Number of database connections that calls share; subjects and methods have shares of them.
    pub database_connections: u32,
    /// Maximum duration of a call, and of opening a stream.
    pub call_timeout: Duration,
    /// Maximum number of bytes that all requests together may hold while they are read and answered. One caller or
    /// connection may use a third of them.
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
