//! The process's descriptors: as many as the system allows, and enough left for everything that is no caller's connection.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::{ConnectionLimits, permits::MAX_CLOSING};

/// Descriptors that are no connection of a caller: database pools, requests to Google, the log, files, and the runtime's own.
const RESERVED_DESCRIPTORS: u64 = 256;

/// Returns how many descriptors are kept for everything but connections on the gRPC port.
#[must_use]
pub fn reserved_descriptors() -> u64 {
    let admin = ConnectionLimits::default().admin().max_connections;
    RESERVED_DESCRIPTORS + u64::try_from(admin + 2 * MAX_CLOSING).unwrap_or(u64::MAX)
}

/// Raises the soft limit of descriptors to the hard one, which needs no privilege. Returns the soft limit from then on. A failure is
/// logged, and leaves the limit as it is.
pub fn raise_descriptor_limit() -> u64 {
    let (soft, hard) = match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok(limits) => limits,
        Err(error) => {
            tracing::warn!(%error, "failed to read the limit of descriptors");
            return 1024;
        }
    };
    match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => hard,
        Err(error) => {
            tracing::warn!(%error, soft, hard, "failed to raise the limit of descriptors");
            soft
        }
    }
}
