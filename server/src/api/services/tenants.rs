//! `TenantService`.

use category_mirror_proto::v1::{self as proto, tenant_service_server::TenantService};
use tonic::{Request, Response, Status};

use crate::api::{
    decode::{import, request, tenant_sync},
    encode::{self, status::status},
};
use crate::{
    app::{App, PageRequest, check_set},
    domain::{
        AccountId, InvalidCode, LanguageCode, LocationId, NewTenant, OrganizationId, RegionCode, Slug, Tenant,
        TenantChange, TenantId,
    },
    error::{Error, Violations},
};

/// Implements the service with the use cases of the application.
pub(in crate::api) struct TenantApi {
    app: App,
}

impl TenantApi {
    pub(in crate::api) fn new(app: App) -> Self {
        Self { app }
    }
}

#[tonic::async_trait]
impl TenantService for TenantApi {
    async fn create_tenant(
        &self,
        request: Request<proto::CreateTenantRequest>,
    ) -> Result<Response<proto::CreateTenantResponse>, Status> {
        let (caller, message) = request::split(request).map_err(status)?;
        let tenant = new_tenant(message.tenant).map_err(status)?;
        let tenant = self.app.create_tenant(&caller, &tenant).await.map_err(status)?;
        Ok(Response::new(proto::CreateTenantResponse { tenant: Some(encode::tenant(tenant)) }))
    }

    async fn get_tenant(
        &self,
        request: Request<proto::GetTenantRequest>,
    ) -> Result<Response<proto::GetTenantResponse>, Status> {
        let (caller, message) = request::split(request).map_err(status)?;
        let id = request::tenant("name", &message.name).map_err(status)?;
        let tenant = self.app.tenant(&caller, &id).await.map_err(status)?;
        Ok(Response::new(proto::GetTenantResponse { tenant: Some(encode::tenant(tenant)) }))
    }

    async fn list_tenants(
        &self,
        request: Request<proto::ListTenantsRequest>,
    ) -> Result<Response<proto::ListTenantsResponse>, Status> {
        let (caller, message) = request::split(request).map_err(status)?;
        let mut violations = Violations::default();
        let organization = request::organization(&mut violations, "organization", &message.organization);
        let filters = ["tenants", organization.as_ref().map_or("", OrganizationId::as_str)];
        let page = PageRequest::new(violations, message.page_size, &message.page_token, &filters).map_err(status)?;
        let page = self.app.tenants(&caller, organization.as_ref(), page).await.map_err(status)?;
        Ok(Response::new(proto::ListTenantsResponse {
            tenants: page.items.into_iter().map(encode::tenant).collect(),
            next_page_token: page.next_page_token,
        }))
    }

    async fn update_tenant(
        &self,
        request: Request<proto::UpdateTenantRequest>,
    ) -> Result<Response<proto::UpdateTenantResponse>, Status> {
        let (caller, message) = request::split(request).map_err(status)?;
        let (id, change) = tenant_change(message).map_err(status)?;
        let tenant = self.app.update_tenant(&caller, &id, &change).await.map_err(status)?;
        Ok(Response::new(proto::UpdateTenantResponse { tenant: Some(encode::tenant(tenant)) }))
    }

    async fn delete_tenant(
        &self,
        request: Request<proto::DeleteTenantRequest>,
    ) -> Result<Response<proto::DeleteTenantResponse>, Status> {
        let (caller, message) = request::split(request).map_err(status)?;
        let id = request::tenant("name", &message.name).map_err(status)?;
        self.app.delete_tenant(&caller, &id).await.map_err(status)?;
        Ok(Response::new(proto::DeleteTenantResponse {}))
    }

    async fn set_tenant_categories(
        &self,
        request: Request<proto::SetTenantCategoriesRequest>,
    ) -> Result<Response<proto::SetTenantCategoriesResponse>, Status> {
        let (caller, message) = request::split(request).map_err(status)?;
        let (tenant, primary, additional) = categories(message).map_err(status)?;
        let set = self.app.set_tenant_categories(&caller, &tenant, primary, additional).await.map_err(status)?;
        Ok(Response::new(proto::SetTenantCategoriesResponse { categories: Some(encode::tenant_categories(set)) }))
    }

    async fn get_tenant_categories(
        &self,
        request: Request<proto::GetTenantCategoriesRequest>,
    ) -> Result<Response<proto::GetTenantCategoriesResponse>, Status> {
        let (caller, message) = request::split(request).map_err(status)?;
        let tenant = request::tenant("tenant", &message.tenant).map_err(status)?;
        let set = self.app.tenant_categories(&caller, &tenant).await.map_err(status)?;
        Ok(Response::new(proto::GetTenantCategoriesResponse { categories: Some(encode::tenant_categories(set)) }))
    }

    async fn import_tenants(
        &self,
        request: Request<proto::ImportTenantsRequest>,
    ) -> Result<Response<proto::ImportTenantsResponse>, Status> {
        let (caller, message) = request::split(request).map_err(status)?;
        let name = |it: &proto::TenantImport| it.tenant.as_ref().map(|tenant| tenant.name.clone()).unwrap_or_default();
        let names: Vec<String> = message.tenants.iter().map(name).collect();
        let items = import::items("tenants", message.tenants, tenant_import).await.map_err(status)?;
        let report = self.app.import_tenants(&caller, items, message.validate_only).await.map_err(status)?;
        Ok(Response::new(proto::ImportTenantsResponse {
            created_count: encode::count(report.created),
            updated_count: encode::count(report.updated),
            unchanged_count: encode::count(report.unchanged),
            failures: encode::import_failures(report, &names),
        }))
    }

    async fn get_tenant_sync(
        &self,
        request: Request<proto::GetTenantSyncRequest>,
    ) -> Result<Response<proto::GetTenantSyncResponse>, Status> {
        let (caller, message) = request::split(request).map_err(status)?;
        let tenant = tenant_sync::tenant(&message.name).map_err(status)?;
        let sync = self.app.tenant_sync(&caller, &tenant).await.map_err(status)?;
        Ok(Response::new(proto::GetTenantSyncResponse { tenant_sync: Some(encode::tenant_sync(sync)) }))
    }

    async fn list_tenant_syncs(
        &self,
        request: Request<proto::ListTenantSyncsRequest>,
    ) -> Result<Response<proto::ListTenantSyncsResponse>, Status> {
        let (caller, message) = request::split(request).map_err(status)?;
        let (filter, page) = tenant_sync::parse_filter(&message).map_err(status)?;
        let page = self.app.tenant_syncs(&caller, filter, page).await.map_err(status)?;
        Ok(Response::new(proto::ListTenantSyncsResponse {
            tenant_syncs: page.items.into_iter().map(encode::tenant_sync).collect(),
            next_page_token: page.next_page_token,
        }))
    }

    async fn decide_tenant_sync(
        &self,
        request: Request<proto::DecideTenantSyncRequest>,
    ) -> Result<Response<proto::DecideTenantSyncResponse>, Status> {
        let traceparent = request::trace(request.metadata().as_ref());
        let (caller, message) = request::split(request).map_err(status)?;
        let wanted = tenant_sync::decision(message, traceparent).map_err(status)?;
        let (sync, run) = self.app.decide(&caller, wanted).await.map_err(status)?;
        let (tenant_sync, run) = (Some(encode::tenant_sync(sync)), run.map(encode::run));
        Ok(Response::new(proto::DecideTenantSyncResponse { tenant_sync, run }))
    }
}

/// Parses an item of an import; `None` if there is a violation.
fn tenant_import(v: &mut Violations, message: proto::TenantImport) -> Option<NewTenant> {
    let Some(tenant) = message.tenant else {
        v.add("tenant", "is required");
        return None;
    };
    let tenant = tenant_fields(v, &tenant);
    let categories = message.categories.map(|set| category_slugs(v, &set));
    // A missing slug has already been added as a violation.
    Some(NewTenant { tenant: tenant?, categories: categories.map(|slugs| slugs.into_iter().flatten().collect()) })
}

fn new_tenant(message: Option<proto::Tenant>) -> Result<Tenant, Error> {
    let message = message.ok_or_else(|| Error::invalid("tenant", "is required"))?;
    let mut violations = Violations::default();
    let tenant = tenant_fields(&mut violations, &message);
    violations.finish_with(tenant)
}

/// Parses a tenant; `None` if there is a violation.
fn tenant_fields(v: &mut Violations, message: &proto::Tenant) -> Option<Tenant> {
    let id = request::required(v, "tenant.name", &message.name, TenantId::parse);
    let display_name = v.take("tenant.display_name", request::display_name(&message.display_name));
    let organization = request::organization(v, "tenant.organization", &message.organization);
    let account_and_location = account_and_location(v, message);
    let region_code = v.take("tenant.region_code", region_code(&message.region_code));
    let language_code = v.take("tenant.language_code", language_code(&message.language_code));
    let (account, location) = account_and_location?.unzip();
    Some(Tenant {
        id: id?,
        display_name: display_name?,
        organization,
        account,
        location,
        region_code: region_code?,
        language_code: language_code?,
        created_at: chrono::DateTime::UNIX_EPOCH,
        updated_at: chrono::DateTime::UNIX_EPOCH,
    })
}

/// Parses account and location, which must both be set or both be empty; the outer `None` means a violation.
#[expect(clippy::option_option, reason = "absent and invalid are two things")]
fn account_and_location(
    violations: &mut Violations,
    message: &proto::Tenant,
) -> Option<Option<(AccountId, LocationId)>> {
    let account = request::optional(violations, "tenant.gbp_account", &message.gbp_account, AccountId::parse);
    let location = request::optional(violations, "tenant.gbp_location", &message.gbp_location, LocationId::parse);
    match (message.gbp_account.is_empty(), message.gbp_location.is_empty()) {
        (true, true) => Some(None),
        (false, false) => account.zip(location).map(Some),
        (true, false) => {
            violations.add("tenant.gbp_account", "is required with gbp_location");
            None
        }
        (false, true) => {
            violations.add("tenant.gbp_location", "is required with gbp_account");
            None
        }
    }
}

fn tenant_change(message: proto::UpdateTenantRequest) -> Result<(TenantId, TenantChange), Error> {
    let tenant = message.tenant.ok_or_else(|| Error::invalid("tenant", "is required"))?;
    let mut violations = Violations::default();
    let v = &mut violations;
    let id = request::required(v, "tenant.name", &tenant.name, TenantId::parse);
    let fields = [
        ("display_name", tenant.display_name.as_str()),
        ("organization", tenant.organization.as_str()),
        ("gbp_account", tenant.gbp_account.as_str()),
        ("gbp_location", tenant.gbp_location.as_str()),
        ("region_code", tenant.region_code.as_str()),
        ("language_code", tenant.language_code.as_str()),
    ];
    let mut change = TenantChange::default();
    let masked = request::masked(v, message.update_mask.as_ref(), &fields);
    for field in &masked {
        match *field {
            "display_name" => {
                change.display_name = v.take("tenant.display_name", request::display_name(&tenant.display_name))
            }
            "organization" => {
                change.organization = Some(request::organization(v, "tenant.organization", &tenant.organization))
            }
            "region_code" => change.region_code = v.take("tenant.region_code", region_code(&tenant.region_code)),
            "language_code" => {
                change.language_code = v.take("tenant.language_code", language_code(&tenant.language_code))
            }
            // Account and location are handled together, below.
            _ => {}
        }
    }
    match (masked.contains(&"gbp_account"), masked.contains(&"gbp_location")) {
        (true, true) => change.account_and_location = account_and_location(v, &tenant),
        (false, false) => {}
        _ => v.add("update_mask", "gbp_account and gbp_location are updated together"),
    }
    let id = violations.finish_with(id)?;
    Ok((id, change))
}

fn categories(message: proto::SetTenantCategoriesRequest) -> Result<(TenantId, Slug, Vec<Slug>), Error> {
    let mut violations = Violations::default();
    let v = &mut violations;
    let tenant = request::required(v, "tenant", &message.tenant, TenantId::parse);
    let Some(set) = message.categories else {
        v.add("categories", "is required");
        return violations.finish_with(None);
    };
    let mut slugs = category_slugs(v, &set).into_iter();
    let primary = slugs.next().flatten();
    let (tenant, primary) = violations.finish_with(tenant.zip(primary))?;
    Ok((tenant, primary, slugs.flatten().collect()))
}

/// Parses a tenant's category set, the primary category first; `None` for a category with a violation.
fn category_slugs(v: &mut Violations, set: &proto::TenantCategories) -> Vec<Option<Slug>> {
    let mut slugs = vec![request::required(v, "categories.primary", &set.primary, Slug::parse)];
    for (n, text) in set.additional.iter().enumerate() {
        slugs.push(request::required(v, &format!("categories.additional[{n}]"), text, Slug::parse));
    }
    check_set(v, &slugs);
    slugs
}

fn region_code(text: &str) -> Result<String, InvalidCode> {
    RegionCode::parse(text).map(|code| code.to_string())
}

fn language_code(text: &str) -> Result<String, InvalidCode> {
    LanguageCode::parse(text).map(|code| code.to_string())
}
