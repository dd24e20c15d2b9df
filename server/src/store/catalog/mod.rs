//! The platform categories with their mappings, and the taxonomies of Google that they map to.

pub(in crate::store) mod affected;
pub(in crate::store) mod platform_category;
pub(in crate::store) mod search;
pub(in crate::store) mod taxonomy;
