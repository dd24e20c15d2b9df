//! Tenants: their location, their platform categories, and whether they are in sync.

pub(in crate::store) mod categories;
pub(in crate::store) mod decide;
pub(in crate::store) mod known;
pub(in crate::store) mod snapshot;
pub(in crate::store) mod sync;
pub(in crate::store) mod tenant;
