//! Feature flags.

use category_mirror_proto::v1;
use chrono::{DateTime, Utc};

use super::wire;

open_enum! {
    /// Whom a flag is on for.
    FlagState {
        /// Nobody. Lists and percentage are kept for the next time.
        Off = 1, "off";
        /// Everybody but the excluded.
        On = 2, "on";
        /// The pilot and the percentage, but not the excluded.
        Partial = 3, "partial";
    }
}

open_enum! {
    /// Why a flag is on or off: the first of these that applies.
    FlagReason {
        /// Off: the environment of the server forces it.
        ForcedOff = 1, "forced_off";
        /// Off: somebody switched it off.
        SwitchedOff = 2, "switched_off";
        /// Off: the tenant is excluded.
        TenantExcluded = 3, "tenant_excluded";
        /// Off: the tenant's organization is excluded.
        OrganizationExcluded = 4, "organization_excluded";
        /// On: the environment of the server forces it.
        ForcedOn = 5, "forced_on";
        /// Nobody has set it: off, or on where the server was started with `--dev`.
        NeverSet = 6, "never_set";
        /// On: somebody switched it on.
        SwitchedOn = 7, "switched_on";
        /// On: the tenant is in the pilot.
        TenantListed = 8, "tenant_listed";
        /// On: the tenant's organization is in the pilot.
        OrganizationListed = 9, "organization_listed";
        /// The percentage decides: on where the tenant's place is below it.
        Percentage = 10, "percentage";
    }
}

open_enum! {
    /// What a verdict rests on.
    FlagOrigin {
        /// The environment of the server.
        Environment = 1, "environment";
        /// What somebody has set, for all servers.
        Database = 2, "database";
        /// Nobody has set anything.
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
    /// `flags/{flag}`, such as `flags/FF_CATEGORY_MIRRORING`.
    pub name: String,
    /// Whom it is on for.
    pub state: FlagState,
    /// How many of the tenants that are not listed, 0 to 100. Counts in [`FlagState::Partial`].
    pub percent: f64,
    /// The pilot, `tenants/{tenant}` each. Counts in [`FlagState::Partial`].
    pub tenants: Vec<String>,
    /// The pilot by the chain, `organizations/{organization}` each. Counts in [`FlagState::Partial`].
    pub organizations: Vec<String>,
    /// Never on for these, `tenants/{tenant}` each.
    pub excluded_tenants: Vec<String>,
    /// Never on for the tenants of these, `organizations/{organization}` each.
    pub excluded_organizations: Vec<String>,
    /// Grows with every change, from 1; 0 while nobody has set it.
    pub revision: i64,
    /// What the environment of the server that answered forces, for that server.
    pub forced: Option<bool>,
    /// When it was last changed. `None`: nobody has set it.
    pub update_time: Option<DateTime<Utc>>,
}

/// A change of a flag.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct FlagChange {
    /// `flags/{flag}`.
    pub flag: String,
    /// Its revision since.
    pub revision: i64,
    /// What it was. `None`: nobody had set it.
    pub before: Option<Flag>,
    /// What it is since.
    pub after: Option<Flag>,
    /// Who changed it: the subject of the caller's token.
    pub caller: String,
    /// Why, in the caller's words.
    pub reason: Option<String>,
    /// When.
    pub change_time: Option<DateTime<Utc>>,
}

/// Whether a flag is on for a tenant, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct FlagEvaluation {
    /// Whether it is on.
    pub enabled: bool,
    /// Why.
    pub reason: FlagReason,
    /// The same for people, with the values.
    pub explanation: String,
    /// What it rests on.
    pub origin: FlagOrigin,
    /// The revision of the flag that the server goes by; 0 while nobody has set it.
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
