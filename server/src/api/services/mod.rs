//! The gRPC services, one file each.

pub(in crate::api) mod batches;
pub(in crate::api) mod categories;
pub(in crate::api) mod category_mirror;
pub(in crate::api) mod credentials;
pub(in crate::api) mod flags;
pub(in crate::api) mod tenants;
pub(in crate::api) mod updates;
