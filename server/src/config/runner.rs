//! Execution of runs.

use std::time::Duration;

use clap::Args;

use super::{ConfigError, duration::duration};
use crate::{
    domain::{Backoff, GuardLimits, MAX_ADDITIONAL},
    runner::RunnerConfig,
    store::Retention,
};

/// Minimum of RUNNER_LEASE. With a shorter one, a short stall of the database would look like a crash.
const MIN_LEASE: Duration = Duration::from_secs(1);

/// Minimum of HISTORY_RETENTION.
const MIN_RETENTION: Duration = Duration::from_secs(2 * 24 * 3600);

/// The runner. Durations are texts such as `500ms`, `30s` or `5m`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Runner")]
pub struct RunnerArgs {
    /// Maximum number of runs that the server executes concurrently, from 0 to 10000. 0: it executes none and leaves
    /// them to other servers
    #[arg(long, env = "RUNNER_CONCURRENCY", value_name = "N", default_value_t = 10, value_parser = concurrency)]
    pub runner_concurrency: usize,
    /// Duration of a lease, at least 1s: if a server stops renewing it, another server takes over the run after this
    /// time
    #[arg(long, env = "RUNNER_LEASE", value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub runner_lease: Duration,
    /// Pause after a successful real run, per tenant and strategy. Real runs in this time are skipped
    #[arg(long, env = "RUNNER_COOLDOWN", value_name = "DURATION", default_value = "60s", value_parser = duration)]
    pub runner_cooldown: Duration,
    /// Maximum number of attempts of a run before it fails, from 1 to 100
    #[arg(long, env = "RUNNER_ATTEMPTS", value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(i32).range(1..=100))]
    pub runner_attempts: i32,
    /// Delay after the first failed attempt. It doubles with each further attempt
    #[arg(long, env = "RUNNER_BACKOFF", value_name = "DURATION", default_value = "500ms", value_parser = duration)]
    pub runner_backoff: Duration,
    /// Maximum delay between attempts. Only a Retry-After from Google can make it longer
    #[arg(long, env = "RUNNER_BACKOFF_MAX", value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub runner_backoff_max: Duration,
    /// Maximum random addition to a delay
    #[arg(long, env = "RUNNER_BACKOFF_JITTER", value_name = "DURATION", default_value = "250ms", value_parser = duration)]
    pub runner_backoff_jitter: Duration,
    /// Time for which a shutdown waits for running attempts and calls
    #[arg(long, env = "SHUTDOWN_GRACE_PERIOD", value_name = "DURATION", default_value = "25s", value_parser = duration)]
    pub shutdown_grace_period: Duration,
    /// Maximum number of additional categories that Google accepts for one location
    #[arg(long, env = "GBP_MAX_ADDITIONAL_CATEGORIES", value_name = "N", default_value_t = MAX_ADDITIONAL)]
    pub gbp_max_additional_categories: usize,
    /// Time for which ended runs are kept, from their acceptance and in whole days (UTC), at least 2d
    #[arg(long, env = "HISTORY_RETENTION", value_name = "DURATION", default_value = "365d", value_parser = duration)]
    pub history_retention: Duration,
    /// Time for which failed runs are kept. Used only if it is longer than HISTORY_RETENTION
    #[arg(long, env = "HISTORY_RETENTION_FAILED", value_name = "DURATION", default_value = "365d", value_parser = duration)]
    pub history_retention_failed: Duration,
    /// Limits of a run, which a caller can override.
    #[command(flatten)]
    pub guards: GuardArgs,
}

/// The guards. If a plan exceeds one of these limits, the run writes nothing and fails with reason GUARD. A caller can
/// override each guard for one run by name, with a reason (`override_guards`).
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Guards")]
pub struct GuardArgs {
    /// Maximum number of changes of the primary category per run, 0 or 1. 1: every run may change it (guard
    /// `primary_change`)
    #[arg(long, env = "GUARD_MAX_PRIMARY_CHANGES", value_name = "N", default_value_t = GuardLimits::default().primary_changes, value_parser = clap::value_parser!(u32).range(0..=1))]
    pub guard_max_primary_changes: u32,
    /// Maximum number of categories that a run may remove from a location or a tenant (guard `removals`)
    #[arg(long, env = "GUARD_MAX_REMOVALS", value_name = "N", default_value_t = GuardLimits::default().removals)]
    pub guard_max_removals: u32,
    /// Maximum percentage of the categories of a location or a tenant that a run may remove, from 0 to 100. 100: no
    /// limit (guard `removed_share`)
    #[arg(long, env = "GUARD_MAX_REMOVED_PERCENT", value_name = "PERCENT", default_value_t = GuardLimits::default().removed_percent, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub guard_max_removed_percent: u32,
    /// Maximum number of categories that the first run of a tenant and strategy may remove (guard `first_run_removals`)
    #[arg(long, env = "GUARD_MAX_FIRST_RUN_REMOVALS", value_name = "N", default_value_t = GuardLimits::default().first_run_removals)]
    pub guard_max_first_run_removals: u32,
}

impl GuardArgs {
    fn limits(&self) -> GuardLimits {
        GuardLimits {
            primary_changes: self.guard_max_primary_changes,
            removals: self.guard_max_removals,
            removed_percent: self.guard_max_removed_percent,
            first_run_removals: self.guard_max_first_run_removals,
        }
    }
}

fn concurrency(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if n <= 10_000 => Ok(n),
        _ => Err("must be a number from 0 to 10000".to_owned()),
    }
}

impl RunnerArgs {
    /// Returns the runner's configuration.
    ///
    /// # Errors
    ///
    /// If a value is invalid by itself or in combination with others.
    pub fn settings(&self) -> Result<RunnerConfig, ConfigError> {
        let shown = humantime::format_duration;
        if self.runner_lease < MIN_LEASE {
            return Err(ConfigError(format!("RUNNER_LEASE={}: must be at least 1s", shown(self.runner_lease))));
        }
        // Recorded responses are kept for a day and name runs, so the history must be longer.
        if self.history_retention < MIN_RETENTION {
            return Err(ConfigError(format!(
                "HISTORY_RETENTION={}: must be at least 2d",
                shown(self.history_retention)
            )));
        }
        if self.runner_backoff > self.runner_backoff_max {
            let (first, longest) = (shown(self.runner_backoff), shown(self.runner_backoff_max));
            return Err(ConfigError(format!("RUNNER_BACKOFF={first}: must be at most RUNNER_BACKOFF_MAX={longest}")));
        }
        Ok(RunnerConfig {
            concurrency: self.runner_concurrency,
            lease: self.runner_lease,
            cooldown: self.runner_cooldown,
            backoff: Backoff {
                initial: self.runner_backoff,
                max: self.runner_backoff_max,
                jitter: self.runner_backoff_jitter,
            },
            grace: self.shutdown_grace_period,
            max_additional: self.gbp_max_additional_categories,
            retention: Retention {
                all: self.history_retention,
                failed: self.history_retention_failed.max(self.history_retention),
            },
            guards: self.guards.limits(),
        })
    }
}
