//! Batches: accepting them, expanding them into runs chunk by chunk, and cancelling them.

pub(in crate::store) mod accept;
pub(in crate::store) mod cancel;
pub(in crate::store) mod chunk;
pub(in crate::store) mod expansion;
pub(in crate::store) mod new_batch;
pub(in crate::store) mod read;
pub(in crate::store) mod reservation;
pub(in crate::store) mod runs;
pub(in crate::store) mod target;
pub(in crate::store) mod tenants;
