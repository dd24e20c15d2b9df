//! Requests that manage tenants.

use category_mirror_proto::v1::{self, tenant_service_client::TenantServiceClient};

use crate::{Client, Tenant, names};

impl Client {
    /// Creates a tenant. The caller chooses its id. Sent once, never retried.
    pub fn create_tenant(&self, tenant: impl Into<String>) -> CreateTenant {
        let tenant = v1::Tenant { name: names::qualified("tenants", tenant), ..Default::default() };
        CreateTenant { client: self.clone(), message: v1::CreateTenantRequest { tenant: Some(tenant) } }
    }

    /// Gets a tenant by its id or `tenants/{id}`.
    pub fn get_tenant(&self, tenant: impl Into<String>) -> GetTenant {
        let message = v1::GetTenantRequest { name: names::qualified("tenants", tenant) };
        GetTenant { client: self.clone(), message }
    }

    /// Lists tenants by id.
    pub fn list_tenants(&self) -> ListTenants {
        ListTenants { client: self.clone(), message: v1::ListTenantsRequest::default() }
    }

    /// Changes the fields that are set on the request, and no others.
    pub fn update_tenant(&self, tenant: impl Into<String>) -> UpdateTenant {
        let tenant = v1::Tenant { name: names::qualified("tenants", tenant), ..Default::default() };
        let message = v1::UpdateTenantRequest { tenant: Some(tenant), update_mask: Some(Default::default()) };
        UpdateTenant { client: self.clone(), message }
    }

    /// Deletes a tenant. Its runs stay in the logs. Sent once, never retried.
    pub fn delete_tenant(&self, tenant: impl Into<String>) -> DeleteTenant {
        let message = v1::DeleteTenantRequest { name: names::qualified("tenants", tenant) };
        DeleteTenant { client: self.clone(), message }
    }
}

request! {
    /// Request of [`Client::create_tenant`].
    CreateTenant(v1::CreateTenantRequest) -> Tenant {
        TenantServiceClient.create_tenant, NonIdempotent, |a: v1::CreateTenantResponse| a.tenant.map(Tenant::from_wire)
    }
}

request! {
    /// Request of [`Client::get_tenant`].
    GetTenant(v1::GetTenantRequest) -> Tenant {
        TenantServiceClient.get_tenant, Idempotent, |a: v1::GetTenantResponse| a.tenant.map(Tenant::from_wire)
    }
}

list_request! {
    /// Request of [`Client::list_tenants`].
    ListTenants(ListTenantsRequest) -> Tenant { TenantServiceClient.list_tenants, tenants }
}

impl ListTenants {
    /// Lists only tenants of this organization, an id or `organizations/{id}`.
    pub fn organization(mut self, organization: impl Into<String>) -> Self {
        self.message.organization = names::qualified("organizations", organization);
        self
    }
}

request! {
    /// Request of [`Client::update_tenant`].
    UpdateTenant(v1::UpdateTenantRequest) -> Tenant {
        TenantServiceClient.update_tenant, Idempotent, |a: v1::UpdateTenantResponse| a.tenant.map(Tenant::from_wire)
    }
}

request! {
    /// Request of [`Client::delete_tenant`].
    DeleteTenant(v1::DeleteTenantRequest) -> () {
        TenantServiceClient.delete_tenant, NonIdempotent, |_: v1::DeleteTenantResponse| Some(())
    }
}

macro_rules! tenant_fields {
    () => {
        /// Sets the store's display name, 1 to 200 characters.
        pub fn display_name(self, name: impl Into<String>) -> Self {
            self.set("display_name", |tenant| tenant.display_name = name.into())
        }

        /// Sets the organization: an id or `organizations/{id}`.
        pub fn organization(self, organization: impl Into<String>) -> Self {
            self.set("organization", |tenant| tenant.organization = names::qualified("organizations", organization))
        }

        /// Sets the GBP account and location: ids, or `accounts/{id}` and `locations/{id}`.
        pub fn location(self, account: impl Into<String>, location: impl Into<String>) -> Self {
            self.set("gbp_account", |tenant| tenant.gbp_account = names::qualified("accounts", account))
                .set("gbp_location", |tenant| tenant.gbp_location = names::qualified("locations", location))
        }

        /// Sets the CLDR region code of two letters, such as `US`.
        pub fn region_code(self, code: impl Into<String>) -> Self {
            self.set("region_code", |tenant| tenant.region_code = code.into())
        }

        /// Sets the BCP 47 language code, such as `en`.
        pub fn language_code(self, code: impl Into<String>) -> Self {
            self.set("language_code", |tenant| tenant.language_code = code.into())
        }
    };
}

impl CreateTenant {
    tenant_fields!();

    fn set(mut self, _field: &str, write: impl FnOnce(&mut v1::Tenant)) -> Self {
        write(self.message.tenant.get_or_insert_default());
        self
    }
}

impl UpdateTenant {
    tenant_fields!();

    /// Removes the tenant from its organization.
    pub fn clear_organization(self) -> Self {
        self.organization("")
    }

    /// Removes the GBP location.
    pub fn clear_location(self) -> Self {
        self.location("", "")
    }

    fn set(mut self, field: &str, write: impl FnOnce(&mut v1::Tenant)) -> Self {
        write(self.message.tenant.get_or_insert_default());
        self.message.update_mask.get_or_insert_default().paths.push(field.to_owned());
        self
    }
}
