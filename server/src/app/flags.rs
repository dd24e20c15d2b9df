//! Feature flags: off until somebody switches them on.

use crate::error::Error;

/// A feature that can be switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flag {
    /// Triggering runs.
    CategoryMirroring,
    /// Changing a tenant's categories.
    TenantPlatformCategory,
    /// Carrying runs out.
    TenantGbpCategorySync,
}

impl Flag {
    /// Its name, which is also the name of its environment variable.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CategoryMirroring => "FF_CATEGORY_MIRRORING",
            Self::TenantPlatformCategory => "FF_TENANT_PLATFORM_CATEGORY",
            Self::TenantGbpCategorySync => "FF_TENANT_GBP_CATEGORY_SYNC",
        }
    }
}

/// Which features are on in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flags {
    /// [`Flag::CategoryMirroring`].
    pub category_mirroring: bool,
    /// [`Flag::TenantPlatformCategory`].
    pub tenant_platform_category: bool,
    /// [`Flag::TenantGbpCategorySync`].
    pub tenant_gbp_category_sync: bool,
}

impl Flags {
    /// Whether a feature is on.
    #[must_use]
    pub fn is_on(&self, flag: Flag) -> bool {
        match flag {
            Flag::CategoryMirroring => self.category_mirroring,
            Flag::TenantPlatformCategory => self.tenant_platform_category,
            Flag::TenantGbpCategorySync => self.tenant_gbp_category_sync,
        }
    }

    /// Refuses what is off.
    ///
    /// # Errors
    /// [`Error::FeatureDisabled`] with the flag's name.
    pub fn require(&self, flag: Flag) -> Result<(), Error> {
        if self.is_on(flag) { Ok(()) } else { Err(Error::FeatureDisabled(flag.name())) }
    }
}
