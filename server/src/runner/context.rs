//! What all parts of a runner work with.

use super::{circuit_breaker::CircuitBreaker, config::RunnerConfig};
use crate::{
    app::{AccountClients, FlagCache},
    error::Error,
    store::{Finisher, Store},
    wake::WakeUpBus,
};

/// The shared parts of a runner. One per process.
#[derive(Debug)]
pub(super) struct RunnerContext {
    pub(super) store: Store,
    pub(super) finisher: Finisher,
    pub(super) accounts: AccountClients,
    pub(super) circuit: CircuitBreaker,
    pub(super) wake: WakeUpBus,
    pub(super) flags: FlagCache,
    pub(super) settings: RunnerConfig,
}

/// Returns an error with its cause, for a log line.
pub(super) fn error_chain(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
