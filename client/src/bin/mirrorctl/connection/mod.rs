//! Which server, and what it is shown.

pub(crate) mod config;
pub(crate) mod connect;
pub(crate) mod secret_file;
