//! The program itself, as processes of their own: killed, stopped, misconfigured, looked at from outside.

mod batches;
mod clocks;
mod commands;
mod database_restarts;
mod demo;
mod draining;
mod flags;
mod kill;
mod logging;
mod metrics;
mod rollups;
pub(crate) mod server;
mod settings;
pub(crate) mod site;
mod tls;
#[cfg(feature = "otel")]
mod traces;
