//! The program itself, as processes of their own: killed, stopped, misconfigured, looked at from outside.

mod batches;
mod clocks;
mod commands;
mod database_restarts;
mod demo;
mod draining;
mod flags;
mod keys;
mod kill;
mod listening;
mod logging;
mod metrics;
mod output;
mod probes;
mod rollups;
mod secrets;
mod server;
mod settings;
mod site;
mod tls;
#[cfg(feature = "otel")]
mod traces;
