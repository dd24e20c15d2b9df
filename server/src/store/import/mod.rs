//! Imports of many tenants or platform categories in one transaction.

pub(in crate::store) mod categories;
pub(in crate::store) mod tenants;
