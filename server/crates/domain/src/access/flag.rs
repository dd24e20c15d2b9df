//! Feature flags: their names, whom each is on for, and what a process says about them by itself.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{InvalidId, OrganizationId, TenantId, failure::text_enum};

text_enum! {
    /// A feature that can be switched off. Its text is its name, and the name of its environment variable.
    Flag {
        /// Triggering runs.
        CategoryMirroring = "FF_CATEGORY_MIRRORING",
        /// Changing a tenant's categories.
        TenantPlatformCategory = "FF_TENANT_PLATFORM_CATEGORY",
        /// Carrying runs out.
        TenantGbpCategorySync = "FF_TENANT_GBP_CATEGORY_SYNC",
    }
}

impl Flag {
    /// Takes `flags/{flag}`, or the bare name, apart; `None` is a flag that there is not.
    ///
    /// # Errors
    /// [`InvalidId`] for what cannot be the name of a flag.
    pub fn parse(text: &str) -> Result<Option<Self>, InvalidId> {
        let name = text.strip_prefix("flags/").unwrap_or(text);
        let is_letter = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        if !name.is_empty() && name.len() <= 63 && name.bytes().all(is_letter) {
            Ok(Self::from_text(name))
        } else {
            Err(InvalidId { collection: "flags", rule: "1 to 63 characters of A-Z, 0-9 and `_`" })
        }
    }

    /// `flags/{flag}`.
    #[must_use]
    pub fn resource_name(self) -> String {
        format!("flags/{self}")
    }
}

text_enum! {
    /// Whom a flag is on for.
    FlagState {
        /// Nobody. Lists and percentage are kept for the next time.
        Off = "off",
        /// Everybody but the excluded.
        On = "on",
        /// Those listed, and a percentage of all others.
        Partial = "partial",
    }
}

/// A share of all tenants, in hundredths of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "i32", into = "i32")]
pub struct Percent(u16);

impl Percent {
    /// Nobody.
    pub const NONE: Self = Self(0);
    /// Everybody.
    pub const ALL: Self = Self(10_000);

    /// From a percentage, such as 12.5.
    ///
    /// # Errors
    /// A text that says what a percentage is.
    pub fn parse(percent: f64) -> Result<Self, &'static str> {
        let hundredths = percent * 100.0;
        // What decimal fractions lose in binary is far below a hundredth; a NaN is not within anything.
        if !(0.0..=10_000.0).contains(&hundredths) || (hundredths - hundredths.round()).abs() > 1e-6 {
            return Err("must be from 0 to 100, in steps of 0.01");
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within 0 to 10,000, as checked")]
        Ok(Self(hundredths.round() as u16))
    }

    /// In hundredths of a percent.
    #[must_use]
    pub fn hundredths(self) -> u16 {
        self.0
    }

    /// In percent.
    #[must_use]
    pub fn value(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

impl TryFrom<i32> for Percent {
    type Error = &'static str;

    fn try_from(hundredths: i32) -> Result<Self, Self::Error> {
        let hundredths = u16::try_from(hundredths).ok().filter(|hundredths| *hundredths <= Self::ALL.0);
        hundredths.map(Self).ok_or("must be from 0 to 10000 hundredths of a percent")
    }
}

impl From<Percent> for i32 {
    fn from(percent: Percent) -> Self {
        percent.0.into()
    }
}

impl std::fmt::Display for Percent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2} %", self.value())
    }
}

/// Whom a flag is on for, and whom it never is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// Nobody, everybody, or some.
    pub state: FlagState,
    /// How many of those who are not listed; counts in [`FlagState::Partial`].
    pub percent: Percent,
    /// The pilot; counts in [`FlagState::Partial`], whatever the percentage.
    pub tenants: BTreeSet<TenantId>,
    /// Every tenant of these is in the pilot, too.
    pub organizations: BTreeSet<OrganizationId>,
    /// Never on for these.
    pub excluded_tenants: BTreeSet<TenantId>,
    /// Nor for the tenants of these.
    pub excluded_organizations: BTreeSet<OrganizationId>,
}

impl Rollout {
    /// Off or on for everybody, with nobody listed.
    #[must_use]
    pub fn all(on: bool) -> Self {
        Self {
            state: if on { FlagState::On } else { FlagState::Off },
            percent: Percent::NONE,
            tenants: BTreeSet::new(),
            organizations: BTreeSet::new(),
            excluded_tenants: BTreeSet::new(),
            excluded_organizations: BTreeSet::new(),
        }
    }

    /// Whether a tenant's organization can decide: who evaluates many tenants need not know it otherwise.
    #[must_use]
    pub fn asks_for_organization(&self) -> bool {
        match self.state {
            FlagState::Off => false,
            FlagState::On => !self.excluded_organizations.is_empty(),
            FlagState::Partial => !self.excluded_organizations.is_empty() || !self.organizations.is_empty(),
        }
    }
}

/// A flag as somebody has set it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagSetting {
    /// Whom it is on for.
    pub rollout: Rollout,
    /// Grows with every change, from 1.
    pub revision: i64,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// A change of a flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagChange {
    /// Grows from change to change, over all flags.
    pub id: i64,
    /// Which flag.
    pub flag: Flag,
    /// The flag's revision since.
    pub revision: i64,
    /// Whom it was on for; `None`: nobody had set it before.
    pub before: Option<Rollout>,
    /// Whom it is on for since.
    pub after: Rollout,
    /// Who changed it.
    pub caller: String,
    /// Why, in the caller's words; may be empty.
    pub reason: String,
    /// When.
    pub changed_at: DateTime<Utc>,
}

/// What a process says about the flags by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProcessFlags {
    /// [`Flag::CategoryMirroring`], where the environment forces it.
    pub category_mirroring: Option<bool>,
    /// [`Flag::TenantPlatformCategory`], where the environment forces it.
    pub tenant_platform_category: Option<bool>,
    /// [`Flag::TenantGbpCategorySync`], where the environment forces it.
    pub tenant_gbp_category_sync: Option<bool>,
    /// What a flag is that nobody has set.
    pub on_by_default: bool,
}

impl ProcessFlags {
    /// Nothing is forced, and what nobody has set is on: for trying out.
    #[must_use]
    pub fn on() -> Self {
        Self { on_by_default: true, ..Self::default() }
    }

    /// What the environment forces a flag to be.
    #[must_use]
    pub fn forced(&self, flag: Flag) -> Option<bool> {
        match flag {
            Flag::CategoryMirroring => self.category_mirroring,
            Flag::TenantPlatformCategory => self.tenant_platform_category,
            Flag::TenantGbpCategorySync => self.tenant_gbp_category_sync,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_of_a_flag_of_none_or_no_name() {
        assert_eq!(Flag::parse("flags/FF_CATEGORY_MIRRORING"), Ok(Some(Flag::CategoryMirroring)));
        for flag in Flag::ALL {
            assert_eq!(Flag::parse(flag.as_str()), Ok(Some(*flag)));
            assert_eq!(Flag::parse(&flag.resource_name()), Ok(Some(*flag)));
        }
        assert_eq!(Flag::parse("flags/FF_FF_CATEGORY_MIRRORING"), Ok(None));
        for bad in ["", "flags/", "flags/ff_category_mirroring", "flags/a/b", "FF X", &"F".repeat(64)] {
            assert!(Flag::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn percentages_are_exact_to_the_hundredth() {
        for hundredths in 0..=10_000_u16 {
            let percent = f64::from(hundredths) / 100.0;
            assert_eq!(Percent::parse(percent).map(Percent::hundredths), Ok(hundredths), "{percent}");
        }
        for bad in [-0.01, 100.01, 0.001, 12.345, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(Percent::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Percent::ALL.to_string(), "100.00 %");
        assert!(serde_json::from_str::<Percent>("10001").is_err() && serde_json::from_str::<Percent>("-1").is_err());
    }
}
