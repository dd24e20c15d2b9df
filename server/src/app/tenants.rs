//! Manages tenants and their categories.

use std::collections::BTreeSet;

use super::{App, Page, PageRequest, require_unrestricted, visible};
use crate::{
    domain::{Caller, Flag, MAX_ADDITIONAL, OrganizationId, Slug, Tenant, TenantCategories, TenantChange, TenantId},
    error::{Error, Violations},
};

impl App {
    /// Creates a tenant.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`], [`Error::AlreadyExists`], [`Error::LocationTaken`], or a database error.
    pub async fn create_tenant(&self, caller: &Caller, tenant: &Tenant) -> Result<Tenant, Error> {
        require_unrestricted(caller, "creating a tenant")?;
        self.store.insert_tenant(None, tenant).await
    }

    /// Gets a tenant.
    ///
    /// # Errors
    /// [`Error::NotFound`], or a database error.
    pub async fn tenant(&self, caller: &Caller, tenant: &TenantId) -> Result<Tenant, Error> {
        visible(caller, tenant)?;
        self.store.tenant(tenant).await
    }

    /// Lists tenants by id.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an organization of which the caller may see nothing, or a database error.
    pub async fn tenants(
        &self,
        caller: &Caller,
        organization: Option<&OrganizationId>,
        page: PageRequest,
    ) -> Result<Page<Tenant>, Error> {
        let after = page.after.as_deref().unwrap_or_default();
        let tenants = self.store.tenants(organization, caller.scope.tenants(), after, page.limit()).await?;
        if let (Some(organization), true) = (organization, tenants.is_empty()) {
            self.require_known_organization(caller, organization).await?;
        }
        Ok(page.page(tenants, |tenant| tenant.id.to_string()))
    }

    /// Changes a tenant.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PermissionDenied`] for its organization, account or location,
    /// [`Error::LocationTaken`], or a database error.
    pub async fn update_tenant(
        &self,
        caller: &Caller,
        tenant: &TenantId,
        change: &TenantChange,
    ) -> Result<Tenant, Error> {
        visible(caller, tenant)?;
        // Whatever the new value is: the result would reveal other tenants' locations.
        if change.account_and_location.is_some() {
            require_unrestricted(caller, "changing a tenant's gbp_account or gbp_location")?;
        }
        if change.organization.is_some() {
            require_unrestricted(caller, "changing a tenant's organization")?;
        }
        self.store.update_tenant(None, tenant, change).await
    }

    /// Deletes a tenant. Its runs are kept.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PermissionDenied`], [`Error::RunInProgress`], or a database error.
    pub async fn delete_tenant(&self, caller: &Caller, tenant: &TenantId) -> Result<(), Error> {
        visible(caller, tenant)?;
        require_unrestricted(caller, "deleting a tenant")?;
        self.store.delete_tenant(tenant).await
    }

    /// Gets a tenant's categories on the platform.
    ///
    /// # Errors
    /// [`Error::NotFound`], or a database error.
    pub async fn tenant_categories(&self, caller: &Caller, tenant: &TenantId) -> Result<TenantCategories, Error> {
        visible(caller, tenant)?;
        self.store.tenant_categories(tenant).await
    }

    /// Replaces a tenant's categories on the platform. [`check_set`] must have found no violation.
    ///
    /// # Errors
    /// [`Error::FeatureDisabled`], [`Error::NotFound`], [`Error::Invalid`] for unknown platform categories, or a
    /// database error. Nothing is changed then.
    pub async fn set_tenant_categories(
        &self,
        caller: &Caller,
        tenant: &TenantId,
        primary: Slug,
        additional: Vec<Slug>,
    ) -> Result<TenantCategories, Error> {
        visible(caller, tenant)?;
        self.require(Flag::TenantPlatformCategory, tenant).await?;
        let slugs: Vec<Slug> = std::iter::once(primary).chain(additional).collect();
        let unknown = self.store.set_tenant_categories(None, tenant, &slugs).await?;
        let mut violations = Violations::default();
        for slug in unknown {
            let position = slugs.iter().position(|s| *s == slug).unwrap_or_default();
            violations.add(&field(position), format!("{} does not exist", slug.resource_name()));
        }
        violations.finish()?;
        self.store.tenant_categories(tenant).await
    }
}

/// Adds a violation for each reason why slugs cannot be a tenant's category set: too many, or duplicates. The primary
/// category comes first; `None` is a category whose slug is already a violation.
pub fn check_set(violations: &mut Violations, slugs: &[Option<Slug>]) {
    let additional = slugs.len().saturating_sub(1);
    if additional > MAX_ADDITIONAL {
        let description = format!("has {additional} categories, at most {MAX_ADDITIONAL} are allowed");
        violations.add("categories.additional", description);
    }
    let mut seen = BTreeSet::new();
    for (position, slug) in slugs.iter().enumerate() {
        if let Some(slug) = slug
            && !seen.insert(slug)
        {
            violations.add(&field(position), format!("`{slug}` occurs more than once"));
        }
    }
}

/// Returns the field of the category at a position, the primary one first.
pub(super) fn field(position: usize) -> String {
    match position {
        0 => "categories.primary".to_owned(),
        n => format!("categories.additional[{}]", n - 1),
    }
}
