//! The table of runs as a queue: the ready queue, claims, leases, and the way back.

pub(in crate::store) mod claim;
pub(in crate::store) mod probe;
pub(in crate::store) mod ready;
pub(in crate::store) mod sample;
pub(in crate::store) mod unanswered;
