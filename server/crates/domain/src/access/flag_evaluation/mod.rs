//! Whether a flag is on for a tenant, and why.

use std::fmt;

use aws_lc_rs::digest;

use crate::{Flag, FlagState, OrganizationId, Percent, ProcessFlags, Rollout, TenantId};

/// Why a flag is on or off for a tenant: the first of these, from the top, that applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlagReason {
    /// The environment of the process forces it off.
    ForcedOff,
    /// Somebody switched it off.
    SwitchedOff,
    /// The tenant is excluded.
    TenantExcluded,
    /// The tenant's organization is excluded.
    OrganizationExcluded,
    /// The environment of the process forces it on.
    ForcedOn,
    /// Nobody has ever set it, so it is what the process takes for usual.
    NeverSet {
        /// What that is.
        on: bool,
    },
    /// Somebody switched it on.
    SwitchedOn,
    /// The tenant is in the pilot.
    TenantListed,
    /// The tenant's organization is in the pilot.
    OrganizationListed,
    /// The percentage decides: it is on for those whose place is below it.
    Percentage {
        /// The tenant's place among all tenants, from 0 to 99.99 %.
        rollout_position: Percent,
        /// The flag's percentage.
        percent: Percent,
    },
}

/// What a verdict rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlagOrigin {
    /// The environment of the process.
    Environment,
    /// What somebody has set, for all processes.
    Database,
    /// Nobody has set anything.
    Default,
}

impl FlagReason {
    /// Whether the flag is on.
    #[must_use]
    pub fn is_on(self) -> bool {
        match self {
            Self::ForcedOff | Self::SwitchedOff | Self::TenantExcluded | Self::OrganizationExcluded => false,
            Self::ForcedOn | Self::SwitchedOn | Self::TenantListed | Self::OrganizationListed => true,
            Self::NeverSet { on } => on,
            Self::Percentage { rollout_position, percent } => rollout_position < percent,
        }
    }

    /// The text of it, in UPPER_SNAKE_CASE.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::ForcedOff => "FORCED_OFF",
            Self::SwitchedOff => "SWITCHED_OFF",
            Self::TenantExcluded => "TENANT_EXCLUDED",
            Self::OrganizationExcluded => "ORGANIZATION_EXCLUDED",
            Self::ForcedOn => "FORCED_ON",
            Self::NeverSet { .. } => "NEVER_SET",
            Self::SwitchedOn => "SWITCHED_ON",
            Self::TenantListed => "TENANT_LISTED",
            Self::OrganizationListed => "ORGANIZATION_LISTED",
            Self::Percentage { .. } => "PERCENTAGE",
        }
    }

    /// What it rests on.
    #[must_use]
    pub fn origin(self) -> FlagOrigin {
        match self {
            Self::ForcedOff | Self::ForcedOn => FlagOrigin::Environment,
            Self::NeverSet { .. } => FlagOrigin::Default,
            _ => FlagOrigin::Database,
        }
    }
}

/// For people, as the end of a sentence that says which flag is on or off.
impl fmt::Display for FlagReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ForcedOff => f.write_str("the server's environment forces it off"),
            Self::SwitchedOff => f.write_str("it is off for all tenants"),
            Self::TenantExcluded => f.write_str("the tenant is excluded"),
            Self::OrganizationExcluded => f.write_str("the tenant's organization is excluded"),
            Self::ForcedOn => f.write_str("the server's environment forces it on"),
            Self::NeverSet { .. } => f.write_str("it has never been set"),
            Self::SwitchedOn => f.write_str("it is on for all tenants"),
            Self::TenantListed => f.write_str("the tenant is in the pilot"),
            Self::OrganizationListed => f.write_str("the tenant's organization is in the pilot"),
            Self::Percentage { rollout_position, percent } => {
                write!(f, "it is on for rollout positions below {percent}, and the tenant is at {rollout_position}")
            }
        }
    }
}

/// Evaluates a flag. Off beats everything, also what a process forces on; then come exclusions.
#[must_use]
pub fn evaluate(
    flag: Flag,
    rollout: Option<&Rollout>,
    process: &ProcessFlags,
    tenant: &TenantId,
    organization: Option<&OrganizationId>,
) -> FlagReason {
    let forced = process.forced(flag);
    if forced == Some(false) {
        return FlagReason::ForcedOff;
    }
    let Some(rollout) = rollout else {
        return if forced == Some(true) {
            FlagReason::ForcedOn
        } else {
            FlagReason::NeverSet { on: process.on_by_default }
        };
    };
    if rollout.state == FlagState::Off {
        FlagReason::SwitchedOff
    } else if rollout.excluded_tenants.contains(tenant) {
        FlagReason::TenantExcluded
    } else if organization.is_some_and(|organization| rollout.excluded_organizations.contains(organization)) {
        FlagReason::OrganizationExcluded
    } else if forced == Some(true) {
        FlagReason::ForcedOn
    } else if rollout.state == FlagState::On {
        FlagReason::SwitchedOn
    } else if rollout.tenants.contains(tenant) {
        FlagReason::TenantListed
    } else if organization.is_some_and(|organization| rollout.organizations.contains(organization)) {
        FlagReason::OrganizationListed
    } else {
        FlagReason::Percentage { rollout_position: rollout_position(flag, tenant), percent: rollout.percent }
    }
}

/// A tenant's place among all tenants, the same for ever: a percentage that rises takes more of them and drops none. The flag's name is
/// the salt, so that it is not always the same tenants who are first.
fn rollout_position(flag: Flag, tenant: &TenantId) -> Percent {
    let digest = digest::digest(&digest::SHA256, format!("{flag}/{tenant}").as_bytes());
    let number = digest.as_ref()[..8].iter().fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
    // Scaled and not reduced modulo: each of the 10,000 places is as likely as every other one.
    let hundredths = (u128::from(number) * u128::from(Percent::ALL.hundredths())) >> u64::BITS;
    i32::try_from(hundredths).ok().and_then(|hundredths| hundredths.try_into().ok()).unwrap_or(Percent::ALL)
}

#[cfg(test)]
mod tests;
