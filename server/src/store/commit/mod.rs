//! Group commits: concurrent callers share a statement and its commit.

pub(in crate::store) mod acceptor;
pub(in crate::store) mod finisher;
pub(in crate::store) mod group;
