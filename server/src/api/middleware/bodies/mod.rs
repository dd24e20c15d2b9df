//! The bodies of requests and answers: bounded, admitted and drained.

pub(in crate::api) mod admission_body;
pub(in crate::api) mod answer_body;
pub(in crate::api) mod drain_body;
pub(in crate::api) mod memory;
pub(in crate::api) mod request_body;
pub(in crate::api) mod schema;
