//! Who calls, and what they may see.

use crate::TenantId;

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads and streams.
    Viewer,
    /// Everything.
    Admin,
}

/// Which tenants a caller may see; every other one does not exist for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TenantScope {
    /// Every tenant.
    All,
    /// These.
    Only(Vec<TenantId>),
}

impl TenantScope {
    /// Whether the tenant exists for the caller.
    #[must_use]
    pub fn allows(&self, tenant: &TenantId) -> bool {
        self.tenants().is_none_or(|tenants| tenants.contains(tenant))
    }

    /// The tenants it is limited to; `None` is no limit.
    #[must_use]
    pub fn tenants(&self) -> Option<&[TenantId]> {
        match self {
            Self::All => None,
            Self::Only(tenants) => Some(tenants),
        }
    }
}

/// An authenticated caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The token's `sub`.
    pub subject: String,
    /// The strongest of the token's roles that is known; `None` may do nothing.
    pub role: Option<Role>,
    /// The token's `tenants` claim, or everything where it has none.
    pub scope: TenantScope,
    /// From when the token is no longer believed: its `exp`, and the leeway for clocks that differ.
    pub expires_at: chrono::DateTime<chrono::Utc>,
}
