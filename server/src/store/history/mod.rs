//! Runs that have ended, in daily partitions: keeping, dropping and searching them.

pub(in crate::store) mod partition;
pub(in crate::store) mod retention;
pub(in crate::store) mod search;
pub(in crate::store) mod search_query;
