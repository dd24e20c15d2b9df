//! How many connections the pools have, how long one is waited for, and how old one may become.

use std::time::Duration;

use super::pool_state::PoolLimits;

/// How long a call waits for a connection before it answers that the database is unavailable.
pub(super) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// How old a connection may become. What a server keeps for each grows with what was asked on it.
const MAX_CONNECTION_AGE: Duration = Duration::from_secs(30 * 60);

/// The part of the connections that calls share with runs, and that is for runs alone: an attempt needs one for some milliseconds.
const KEPT_SHARE: u32 = 8;
/// From so many on, one is for runs at least. Of fewer, calls of one subject that hang would leave none to others.
const MIN_TO_KEEP: u32 = 4;

/// The connections that calls share, and of which some are left to runs.
pub(in crate::store) fn shared(connections: u32) -> PoolLimits {
    let kept_from_calls = (connections / KEPT_SHARE).max(u32::from(connections >= MIN_TO_KEEP));
    PoolLimits { kept_from_calls, ..limits(connections) }
}

/// So many connections, each for as long as it may be kept.
pub(super) fn limits(connections: u32) -> PoolLimits {
    PoolLimits { connections, kept_from_calls: 0, acquire_timeout: ACQUIRE_TIMEOUT, max_age: MAX_CONNECTION_AGE }
}
