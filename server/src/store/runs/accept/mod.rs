//! Accepting runs: creating a run, or joining the live one of its tenant.

pub(in crate::store) mod group;
pub(in crate::store) mod join;
pub(in crate::store) mod single;
