//! Requests that create and change many resources at once.

use category_mirror_proto::v1::{
    self, category_service_client::CategoryServiceClient, tenant_service_client::TenantServiceClient,
};

use crate::{Client, ImportReport, names};

/// A tenant to create or change. Fields that are not set are left unchanged.
#[derive(Debug, Clone)]
pub struct TenantImport {
    message: v1::TenantImport,
}

/// A platform category to create or change. Fields that are not set are left unchanged.
#[derive(Debug, Clone)]
pub struct PlatformCategoryImport {
    message: v1::PlatformCategory,
}

impl Client {
    /// Creates or changes up to 5000 tenants and their categories. Valid items are imported even if others are invalid;
    /// the report lists the violations of each invalid item.
    pub fn import_tenants(&self, tenants: impl IntoIterator<Item = TenantImport>) -> ImportTenants {
        let tenants = tenants.into_iter().map(|tenant| tenant.message).collect();
        ImportTenants { client: self.clone(), message: v1::ImportTenantsRequest { tenants, validate_only: false } }
    }

    /// Creates or changes up to 5000 platform categories. Valid items are imported even if others are invalid; the
    /// report lists the violations of each invalid item.
    pub fn import_platform_categories(
        &self,
        categories: impl IntoIterator<Item = PlatformCategoryImport>,
    ) -> ImportPlatformCategories {
        let platform_categories = categories.into_iter().map(|category| category.message).collect();
        let message = v1::ImportPlatformCategoriesRequest { platform_categories, validate_only: false };
        ImportPlatformCategories { client: self.clone(), message }
    }
}

request! {
    /// Request of [`Client::import_tenants`].
    ImportTenants(v1::ImportTenantsRequest) -> ImportReport {
        TenantServiceClient.import_tenants, Idempotent, |a: v1::ImportTenantsResponse| {
            Some(ImportReport::new([a.created_count, a.updated_count, a.unchanged_count], a.failures))
        }
    }
}

request! {
    /// Request of [`Client::import_platform_categories`].
    ImportPlatformCategories(v1::ImportPlatformCategoriesRequest) -> ImportReport {
        CategoryServiceClient.import_platform_categories, Idempotent, |a: v1::ImportPlatformCategoriesResponse| {
            Some(ImportReport::new([a.created_count, a.updated_count, a.unchanged_count], a.failures))
        }
    }
}

impl ImportTenants {
    /// Sets whether the server only reports what the import would do, and changes nothing. Default: false.
    pub fn validate_only(mut self, validate_only: bool) -> Self {
        self.message.validate_only = validate_only;
        self
    }
}

impl ImportPlatformCategories {
    /// Sets whether the server only reports what the import would do, and changes nothing. Default: false.
    pub fn validate_only(mut self, validate_only: bool) -> Self {
        self.message.validate_only = validate_only;
        self
    }
}

impl TenantImport {
    /// Creates an item for a tenant, given by id or as `tenants/{id}`.
    pub fn new(tenant: impl Into<String>) -> Self {
        let tenant = v1::Tenant { name: names::qualified("tenants", tenant), ..Default::default() };
        Self { message: v1::TenantImport { tenant: Some(tenant), categories: None } }
    }

    /// Sets the store's display name, 1 to 200 characters. Required.
    #[must_use]
    pub fn display_name(self, name: impl Into<String>) -> Self {
        self.set(|tenant| tenant.display_name = name.into())
    }

    /// Sets the organization: an id or `organizations/{id}`.
    #[must_use]
    pub fn organization(self, organization: impl Into<String>) -> Self {
        self.set(|tenant| tenant.organization = names::qualified("organizations", organization))
    }

    /// Sets the GBP account and location: ids, or `accounts/{id}` and `locations/{id}`.
    #[must_use]
    pub fn location(self, account: impl Into<String>, location: impl Into<String>) -> Self {
        self.set(|tenant| {
            tenant.gbp_account = names::qualified("accounts", account);
            tenant.gbp_location = names::qualified("locations", location);
        })
    }

    /// Sets the CLDR region code of two letters, such as `US`. Required.
    #[must_use]
    pub fn region_code(self, code: impl Into<String>) -> Self {
        self.set(|tenant| tenant.region_code = code.into())
    }

    /// Sets the BCP 47 language code, such as `en`. Required.
    #[must_use]
    pub fn language_code(self, code: impl Into<String>) -> Self {
        self.set(|tenant| tenant.language_code = code.into())
    }

    /// Replaces the tenant's categories: slugs or `platformCategories/{slug}`.
    #[must_use]
    pub fn categories<I>(mut self, primary: impl Into<String>, additional: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let name = |slug: String| names::qualified("platformCategories", slug);
        self.message.categories = Some(v1::TenantCategories {
            primary: name(primary.into()),
            additional: additional.into_iter().map(|slug| name(slug.into())).collect(),
            update_time: None,
        });
        self
    }

    fn set(mut self, write: impl FnOnce(&mut v1::Tenant)) -> Self {
        write(self.message.tenant.get_or_insert_default());
        self
    }
}

impl PlatformCategoryImport {
    /// Creates an item for a platform category, given by slug or as `platformCategories/{slug}`.
    pub fn new(slug: impl Into<String>) -> Self {
        let name = names::qualified("platformCategories", slug);
        Self { message: v1::PlatformCategory { name, ..Default::default() } }
    }

    /// Sets the platform's display name, 1 to 200 characters. Required.
    #[must_use]
    pub fn display_name(mut self, name: impl Into<String>) -> Self {
        self.message.display_name = name.into();
        self
    }

    /// Sets the GBP category that it maps to: `gcid:bakery` or `categories/gcid:bakery`.
    #[must_use]
    pub fn gbp_category(mut self, category: impl Into<String>) -> Self {
        self.message.gbp_category = names::qualified("categories", category);
        self
    }

    /// Sets the mapping in one region. An empty category: unmapped in that region.
    #[must_use]
    pub fn regional_gbp_category(mut self, region_code: impl Into<String>, category: impl Into<String>) -> Self {
        let category = names::qualified("categories", category);
        self.message.regional_gbp_categories.insert(region_code.into(), category);
        self
    }
}
