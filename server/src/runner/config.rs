//! The settings of a runner.

use std::time::Duration;

use crate::{
    domain::{Backoff, GuardLimits},
    store::Retention,
};

/// How runs are executed.
#[derive(Debug, Clone, Copy)]
pub struct RunnerConfig {
    /// Runs at once.
    pub concurrency: usize,
    /// How long a claim lasts without a renewal.
    pub lease: Duration,
    /// The pause of a tenant and strategy after a real run that succeeded.
    pub cooldown: Duration,
    /// The waits between attempts.
    pub backoff: Backoff,
    /// How long a shutdown waits for running attempts.
    pub grace: Duration,
    /// How many additional categories Google accepts.
    pub max_additional: usize,
    /// How long ended runs are kept.
    pub retention: Retention,
    /// What a run may do to its target unless a person overrides a guard.
    pub guards: GuardLimits,
}
