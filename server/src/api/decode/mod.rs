//! Requests become domain requests: a whole message, or every violation at once.

pub(in crate::api) mod batch_request;
pub(in crate::api) mod import;
pub(in crate::api) mod logs;
pub(in crate::api) mod overrides;
pub(in crate::api) mod request;
pub(in crate::api) mod tenant_sync;
