//! What every call passes before its service: token, role, rate, deadline, bounds.

pub(in crate::api) mod abandoned;
pub(in crate::api) mod bodies;
pub(in crate::api) mod bulkhead;
pub(in crate::api) mod costs;
pub(in crate::api) mod deadline;
pub(in crate::api) mod gate;
pub(in crate::api) mod key_waits;
pub(in crate::api) mod measured;
pub(in crate::api) mod open_calls;
pub(in crate::api) mod open_permits;
pub(in crate::api) mod open_streams;
pub(in crate::api) mod rate;
pub(in crate::api) mod read_headers;
pub(in crate::api) mod server_version;
pub(in crate::api) mod traced;
