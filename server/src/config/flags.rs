//! Which features are on.

use clap::{Args, ValueEnum};

use crate::app::Flags;

/// Feature flags: off until somebody switches them on; with `--dev` they are on.
#[derive(Debug, Args)]
#[command(next_help_heading = "Feature flags (off by default, on with --dev)")]
pub struct FlagArgs {
    /// Triggering runs
    #[arg(long, env = "FF_CATEGORY_MIRRORING", value_name = "on|off", hide_possible_values = true)]
    pub ff_category_mirroring: Option<Switch>,
    /// Changing a tenant's categories
    #[arg(long, env = "FF_TENANT_PLATFORM_CATEGORY", value_name = "on|off", hide_possible_values = true)]
    pub ff_tenant_platform_category: Option<Switch>,
    /// Carrying runs out: while it is off, they end skipped
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
    /// The flags of this process; `default` is for those that are not set.
    #[must_use]
    pub fn flags(&self, default: bool) -> Flags {
        let is_on = |switch: Option<Switch>| switch.map_or(default, |switch| switch == Switch::On);
        Flags {
            category_mirroring: is_on(self.ff_category_mirroring),
            tenant_platform_category: is_on(self.ff_tenant_platform_category),
            tenant_gbp_category_sync: is_on(self.ff_tenant_gbp_category_sync),
        }
    }
}
