//! Feature flags that the environment forces on or off.

use clap::{Args, ValueEnum};

use crate::domain::ProcessFlags;

/// Feature flags that are forced for this process. Flags that are not forced have the value that was set with
/// `FlagService`, for all servers. Until a flag is set, it is off; with `--dev`, on.
#[derive(Debug, Args)]
#[command(
    next_help_heading = "Feature flags, forced on or off for this process (default: as set with FlagService, else off; on with --dev)"
)]
pub struct FlagArgs {
    /// Start of runs. While it is off, requests for runs fail
    #[arg(long, env = "FF_CATEGORY_MIRRORING", value_name = "on|off", hide_possible_values = true)]
    pub ff_category_mirroring: Option<Switch>,
    /// Changes of tenants' categories. While it is off, they fail
    #[arg(long, env = "FF_TENANT_PLATFORM_CATEGORY", value_name = "on|off", hide_possible_values = true)]
    pub ff_tenant_platform_category: Option<Switch>,
    /// Execution of runs. While it is off, runs end as skipped
    #[arg(long, env = "FF_TENANT_GBP_CATEGORY_SYNC", value_name = "on|off", hide_possible_values = true)]
    pub ff_tenant_gbp_category_sync: Option<Switch>,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// On.
    #[value(alias = "true", alias = "1")]
    On,
    /// Off.
    #[value(alias = "false", alias = "0")]
    Off,
}

impl FlagArgs {
    /// Returns the values that this process forces. `on_by_default` applies to flags that have never been set.
    #[must_use]
    pub fn process_flags(&self, on_by_default: bool) -> ProcessFlags {
        let forced = |switch: Option<Switch>| switch.map(|switch| switch == Switch::On);
        ProcessFlags {
            category_mirroring: forced(self.ff_category_mirroring),
            tenant_platform_category: forced(self.ff_tenant_platform_category),
            tenant_gbp_category_sync: forced(self.ff_tenant_gbp_category_sync),
            on_by_default,
        }
    }
}
