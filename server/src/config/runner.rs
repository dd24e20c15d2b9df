//! How runs are carried out.

use std::time::Duration;

use clap::Args;

use super::{ConfigError, duration::duration};
use crate::{
    domain::{Backoff, GuardLimits, MAX_ADDITIONAL},
    runner::RunnerConfig,
    store::Retention,
};

/// The shortest lease: below, a busy moment of the database would look like a death.
const MIN_LEASE: Duration = Duration::from_secs(1);

/// The shortest history.
const MIN_RETENTION: Duration = Duration::from_secs(2 * 24 * 3600);

/// The runner. Durations are texts such as `500ms`, `30s`, `5m`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Runner")]
pub struct RunnerArgs {
    /// Runs carried out at once; 0 carries out none, and leaves that to other servers
    #[arg(long, env = "RUNNER_CONCURRENCY", value_name = "N", default_value_t = 10, value_parser = concurrency)]
    pub runner_concurrency: usize,
    /// How long a run stays with a server that gives no sign of life, before another one takes it over; at least 1s
    #[arg(long, env = "RUNNER_LEASE", value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub runner_lease: Duration,
    /// Pause of a tenant and strategy after a real run that succeeded; runs that hit it are skipped
    #[arg(long, env = "RUNNER_COOLDOWN", value_name = "DURATION", default_value = "60s", value_parser = duration)]
    pub runner_cooldown: Duration,
    /// Attempts of a run, before it is given up as failed
    #[arg(long, env = "RUNNER_ATTEMPTS", value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(i32).range(1..=100))]
    pub runner_attempts: i32,
    /// Wait after the first attempt; it doubles with each one
    #[arg(long, env = "RUNNER_BACKOFF", value_name = "DURATION", default_value = "500ms", value_parser = duration)]
    pub runner_backoff: Duration,
    /// The longest wait; only Google can ask for more (Retry-After)
    #[arg(long, env = "RUNNER_BACKOFF_MAX", value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub runner_backoff_max: Duration,
    /// The longest random addition to a wait
    #[arg(long, env = "RUNNER_BACKOFF_JITTER", value_name = "DURATION", default_value = "250ms", value_parser = duration)]
    pub runner_backoff_jitter: Duration,
    /// How long a shutdown waits for attempts and calls under way
    #[arg(long, env = "SHUTDOWN_GRACE_PERIOD", value_name = "DURATION", default_value = "25s", value_parser = duration)]
    pub shutdown_grace_period: Duration,
    /// How many additional categories Google takes for one location
    #[arg(long, env = "GBP_MAX_ADDITIONAL_CATEGORIES", value_name = "N", default_value_t = MAX_ADDITIONAL)]
    pub gbp_max_additional_categories: usize,
    /// How long ended runs are kept, counted from their acceptance and in whole days (UTC); at least 2d
    #[arg(long, env = "HISTORY_RETENTION", value_name = "DURATION", default_value = "365d", value_parser = duration)]
    pub history_retention: Duration,
    /// How long failed runs are kept, where that is longer
    #[arg(long, env = "HISTORY_RETENTION_FAILED", value_name = "DURATION", default_value = "365d", value_parser = duration)]
    pub history_retention_failed: Duration,
    /// What a run may do unless a person overrides the guard.
    #[command(flatten)]
    pub guards: GuardArgs,
}

/// The guards: what a run would do beyond these limits, it does not do, and ends as failed, reason GUARD. A person can override each for one run
/// by name and with a reason (`override_guards`).
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Guards")]
pub struct GuardArgs {
    /// Changes of the primary category that pass; 1 lets every run change it (guard `primary_change`)
    #[arg(long, env = "GUARD_MAX_PRIMARY_CHANGES", value_name = "N", default_value_t = GuardLimits::default().primary_changes, value_parser = clap::value_parser!(u32).range(0..=1))]
    pub guard_max_primary_changes: u32,
    /// Categories that one location, or one tenant, may lose in a run (guard `removals`)
    #[arg(long, env = "GUARD_MAX_REMOVALS", value_name = "N", default_value_t = GuardLimits::default().removals)]
    pub guard_max_removals: u32,
    /// The share of its categories that it may lose in a run; 100 is no limit (guard `removed_share`)
    #[arg(long, env = "GUARD_MAX_REMOVED_PERCENT", value_name = "PERCENT", default_value_t = GuardLimits::default().removed_percent, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub guard_max_removed_percent: u32,
    /// Categories that it may lose in the first run of a tenant and strategy (guard `first_run_removals`)
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
    /// The runner's settings.
    ///
    /// # Errors
    /// Values that make no sense, alone or together.
    pub fn settings(&self) -> Result<RunnerConfig, ConfigError> {
        let shown = humantime::format_duration;
        if self.runner_lease < MIN_LEASE {
            return Err(ConfigError(format!("RUNNER_LEASE={}: must be at least 1s", shown(self.runner_lease))));
        }
        // The answers to request ids are given for a day, and name runs.
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
