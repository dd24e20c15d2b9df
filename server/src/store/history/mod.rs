//! Runs that have ended, in daily partitions: keeping, dropping and searching them.

pub(in crate::store) mod first_id;
pub(in crate::store) mod partition;
pub(in crate::store) mod retention;
pub(in crate::store) mod search;
mod search_query;
