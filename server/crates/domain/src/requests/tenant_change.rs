//! Tenants to create or to change.

use crate::{AccountId, LocationId, OrganizationId, Slug, Tenant};

/// New values of a tenant. The outer `None` keeps a field, the inner one clears it.
#[derive(Debug, Default, Clone)]
pub struct TenantChange {
    /// The display name.
    pub display_name: Option<String>,
    /// The chain.
    pub organization: Option<Option<OrganizationId>>,
    /// The GBP account and location, which are set together.
    pub account_and_location: Option<Option<(AccountId, LocationId)>>,
    /// The region, as a CLDR code: `US`.
    pub region_code: Option<String>,
    /// The language, as a BCP-47 code: `en`.
    pub language_code: Option<String>,
}

/// A tenant to import. An empty field keeps the current value.
#[derive(Debug, Clone)]
pub struct NewTenant {
    /// The tenant.
    pub tenant: Tenant,
    /// All of its platform categories, the primary one first; `None` keeps the current ones.
    pub categories: Option<Vec<Slug>>,
}
