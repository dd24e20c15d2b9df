//! The program itself, as processes of their own: killed, stopped, misconfigured, looked at from outside.

mod batches;
mod clocks;
mod commands;
mod database_restarts;
mod demo;
mod draining;
mod failover;
mod flags;
mod given_up;
pub(crate) mod keys;
mod kill;
mod listening;
mod logging;
mod metrics;
mod name;
mod output;
mod pair;
mod probes;
mod rollups;
mod secrets;
pub(crate) mod server;
mod settings;
mod silence;
pub(crate) mod site;
mod starting;
mod tls;
#[cfg(feature = "otel")]
mod traces;

pub(crate) use settings::{refused, refused_for_its_database};
