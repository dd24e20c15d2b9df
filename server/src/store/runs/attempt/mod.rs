//! What an attempt records while it holds the lease of its run. Every statement is fenced by the fencing token.

pub(in crate::store) mod finish;
mod platform_catalog;
pub(in crate::store) mod platform_write;
pub(in crate::store) mod progress;
