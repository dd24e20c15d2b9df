//! File descriptors of the process: uses as many as the system allows, and reserves some for everything except callers'
//! connections.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::{ConnectionLimits, permits::MAX_CLOSING};

/// Descriptors that are not callers' connections: database pools, requests to Google, the log, files, and the runtime's
/// own.
const RESERVED_DESCRIPTORS: u64 = 256;

/// Returns the number of descriptors reserved for everything except connections on the gRPC port.
#[must_use]
pub fn reserved_descriptors() -> u64 {
    let admin = ConnectionLimits::default().admin().max_connections;
    RESERVED_DESCRIPTORS + u64::try_from(admin + 2 * MAX_CLOSING).unwrap_or(u64::MAX)
}

/// Raises the soft limit of descriptors to the hard one, which needs no privilege. Returns the resulting soft limit. A
/// failure is logged and leaves the limit unchanged.
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
