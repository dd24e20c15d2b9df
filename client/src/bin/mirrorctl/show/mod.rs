//! What people and programs get to see.

pub(crate) mod ids;
pub(crate) mod list;
pub(crate) mod output;
pub(crate) mod stderr;
pub(crate) mod table;
