//! The table of runs as a queue: the ready queue, claims, leases, releases and reclaims.

pub(in crate::store) mod claim;
pub(in crate::store) mod lease;
pub(in crate::store) mod probe;
pub(in crate::store) mod ready_queue;
pub(in crate::store) mod reclaim;
pub(in crate::store) mod release;
pub(in crate::store) mod sample;
