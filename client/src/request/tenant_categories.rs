//! Requests about a tenant's categories on the platform.

use category_mirror_proto::v1::{self, tenant_service_client::TenantServiceClient};

use crate::{Client, TenantCategories, names};

const COLLECTION: &str = "platformCategories";

impl Client {
    /// Replaces a tenant's categories on the platform with `primary`, a slug or `platformCategories/{slug}`, and those
    /// that [`additional`](SetTenantCategories::additional) adds.
    pub fn set_tenant_categories(&self, tenant: impl Into<String>, primary: impl Into<String>) -> SetTenantCategories {
        let categories = v1::TenantCategories {
            primary: names::qualified(COLLECTION, primary),
            additional: Vec::new(),
            update_time: None,
        };
        let message = v1::SetTenantCategoriesRequest {
            tenant: names::qualified("tenants", tenant),
            categories: Some(categories),
        };
        SetTenantCategories { client: self.clone(), message }
    }

    /// Gets a tenant's categories on the platform.
    pub fn get_tenant_categories(&self, tenant: impl Into<String>) -> GetTenantCategories {
        let message = v1::GetTenantCategoriesRequest { tenant: names::qualified("tenants", tenant) };
        GetTenantCategories { client: self.clone(), message }
    }
}

request! {
    /// Request of [`Client::set_tenant_categories`].
    SetTenantCategories(v1::SetTenantCategoriesRequest) -> TenantCategories {
        TenantServiceClient.set_tenant_categories, Idempotent,
        |a: v1::SetTenantCategoriesResponse| a.categories.map(TenantCategories::from_wire)
    }
}

request! {
    /// Request of [`Client::get_tenant_categories`].
    GetTenantCategories(v1::GetTenantCategoriesRequest) -> TenantCategories {
        TenantServiceClient.get_tenant_categories, Idempotent,
        |a: v1::GetTenantCategoriesResponse| Some(TenantCategories::from_wire(a.categories.unwrap_or_default()))
    }
}

impl SetTenantCategories {
    /// Adds additional categories, up to 9 in all: slugs or `platformCategories/{slug}`. Repeated calls add to earlier
    /// ones.
    pub fn additional<I>(mut self, categories: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let set = self.message.categories.get_or_insert_default();
        set.additional.extend(categories.into_iter().map(|category| names::qualified(COLLECTION, category)));
        self
    }
}
