//! Feature flags and their rollouts.

use category_mirror_proto::v1;
use chrono::{DateTime, Utc};

use super::wire;

open_enum! {
    /// Rollout state of a flag.
    FlagState {
        /// Off for all tenants. Lists and percentage are kept for later use.
        Off = 1, "off";
        /// On for all tenants except the excluded ones.
        On = 2, "on";
        /// On for the pilot and for a percentage of the other tenants, except the excluded ones.
        Partial = 3, "partial";
    }
}

open_enum! {
    /// Why a flag is on or off. If several reasons apply, the first one in this order is returned.
    FlagReason {
        /// Off: the server's environment forces it.
        ForcedOff = 1, "forced_off";
        /// Off: the flag is in [`FlagState::Off`].
        SwitchedOff = 2, "switched_off";
        /// Off: the tenant is excluded.
        TenantExcluded = 3, "tenant_excluded";
        /// Off: the tenant's organization is excluded.
        OrganizationExcluded = 4, "organization_excluded";
        /// On: the server's environment forces it.
        ForcedOn = 5, "forced_on";
        /// The flag has never been set: off, or on if the server was started with `--dev`.
        NeverSet = 6, "never_set";
        /// On: the flag is in [`FlagState::On`].
        SwitchedOn = 7, "switched_on";
        /// On: the tenant is in the pilot.
        TenantListed = 8, "tenant_listed";
        /// On: the tenant's organization is in the pilot.
        OrganizationListed = 9, "organization_listed";
        /// On if the tenant's rollout position is below the percentage, else off.
        Percentage = 10, "percentage";
    }
}

open_enum! {
    /// Where the value of a flag comes from.
    FlagOrigin {
        /// The environment of the server.
        Environment = 1, "environment";
        /// The flag as it was set, for all servers.
        Database = 2, "database";
        /// The default: the flag has never been set.
        Default = 3, "default";
    }
}

impl FlagState {
    pub(crate) fn to_wire(self) -> i32 {
        match self {
            Self::Off => 1,
            Self::On => 2,
            Self::Partial => 3,
            Self::Unknown(number) => number,
        }
    }
}

/// A feature flag.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Flag {
    /// Resource name, such as `flags/FF_CATEGORY_MIRRORING`.
    pub name: String,
    /// Rollout state.
    pub state: FlagState,
    /// Percentage of the tenants that are not listed, 0 to 100. Used in [`FlagState::Partial`].
    pub percent: f64,
    /// Tenants of the pilot, each `tenants/{tenant}`. Used in [`FlagState::Partial`].
    pub tenants: Vec<String>,
    /// Organizations of the pilot, each `organizations/{organization}`. Used in [`FlagState::Partial`].
    pub organizations: Vec<String>,
    /// Tenants for which the flag is never on, each `tenants/{tenant}`.
    pub excluded_tenants: Vec<String>,
    /// Organizations for whose tenants the flag is never on, each `organizations/{organization}`.
    pub excluded_organizations: Vec<String>,
    /// Revision number: starts at 1 and increases with every change. 0: the flag has never been set.
    pub revision: i64,
    /// Value that the environment of the responding server forces, for that server only. `None`: it does not force one.
    pub forced: Option<bool>,
    /// Time of the last change. `None`: the flag has never been set.
    pub update_time: Option<DateTime<Utc>>,
}

/// A recorded change of a flag.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct FlagChange {
    /// The flag, `flags/{flag}`.
    pub flag: String,
    /// Revision of the flag after the change.
    pub revision: i64,
    /// The flag before the change. `None`: it had never been set.
    pub before: Option<Flag>,
    /// The flag after the change.
    pub after: Option<Flag>,
    /// The caller that changed it: the subject of its token.
    pub caller: String,
    /// The reason that the caller gave.
    pub reason: Option<String>,
    /// Time of the change.
    pub change_time: Option<DateTime<Utc>>,
}

/// Whether a flag is on for a tenant, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct FlagEvaluation {
    /// Whether the flag is on.
    pub enabled: bool,
    /// Reason code.
    pub reason: FlagReason,
    /// The reason as a text, with the values.
    pub explanation: String,
    /// Where the value comes from.
    pub origin: FlagOrigin,
    /// Revision of the flag that the server uses. 0: the flag has never been set.
    pub revision: i64,
}

impl Flag {
    pub(crate) fn from_wire(wire: v1::Flag) -> Self {
        Self {
            name: wire.name,
            state: FlagState::from_wire(wire.state),
            percent: wire.percent,
            tenants: wire.tenants,
            organizations: wire.organizations,
            excluded_tenants: wire.excluded_tenants,
            excluded_organizations: wire.excluded_organizations,
            revision: wire.revision,
            forced: match wire.forced {
                1 => Some(false),
                2 => Some(true),
                _ => None,
            },
            update_time: wire::time(wire.update_time),
        }
    }
}

impl FlagChange {
    pub(crate) fn from_wire(wire: v1::FlagChange) -> Self {
        Self {
            flag: wire.flag,
            revision: wire.revision,
            before: wire.before.map(Flag::from_wire),
            after: wire.after.map(Flag::from_wire),
            caller: wire.caller,
            reason: wire::text(wire.reason),
            change_time: wire::time(wire.change_time),
        }
    }
}

impl FlagEvaluation {
    pub(crate) fn from_wire(wire: v1::EvaluateFlagResponse) -> Self {
        Self {
            enabled: wire.enabled,
            reason: FlagReason::from_wire(wire.reason),
            explanation: wire.explanation,
            origin: FlagOrigin::from_wire(wire.origin),
            revision: wire.revision,
        }
    }
}
