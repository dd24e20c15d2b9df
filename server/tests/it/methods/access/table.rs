//! A request of every method, and whom the method serves.

use category_mirror_proto::v1::{self as proto, mirror_categories_request::Target};
use prost::Message;

/// Whom a method serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Serves {
    /// Readers of the tenant that it names.
    TenantReaders,
    /// Administrators of the tenant that it names.
    TenantAdmins,
    /// Administrators of all tenants; the tenant that it names does not exist for those of others.
    MoversOfTenants,
    /// Readers; it shows each what they may see.
    Readers,
    /// Administrators; it touches what each may touch.
    Admins,
    /// Readers of all tenants.
    UnlimitedReaders,
    /// Administrators of all tenants.
    UnlimitedAdmins,
}

/// What requests name of a tenant, or of nobody's tenant.
pub(super) struct Named {
    pub(super) tenant: &'static str,
    pub(super) organization: &'static str,
    pub(super) run: String,
    pub(super) batch: String,
}

/// A request of a method.
pub(super) type Row = (&'static str, Serves, fn(&Named) -> Vec<u8>);

fn tenant(named: &Named) -> String {
    format!("tenants/{}", named.tenant)
}

fn update(named: &Named, set: impl FnOnce(&mut proto::Tenant)) -> Vec<u8> {
    let mut changed = proto::Tenant { name: tenant(named), ..Default::default() };
    set(&mut changed);
    proto::UpdateTenantRequest { tenant: Some(changed), update_mask: None }.encode_to_vec()
}

fn mirror(target: Target) -> Vec<u8> {
    let confirm_tenant_count = matches!(target, Target::AllTenants(_)).then_some(7);
    proto::MirrorCategoriesRequest { strategy: 2, target: Some(target), confirm_tenant_count, ..Default::default() }
        .encode_to_vec()
}

fn category(slug: &str) -> Option<proto::PlatformCategory> {
    let name = format!("platformCategories/{slug}");
    Some(proto::PlatformCategory { name, display_name: "Name".to_owned(), ..Default::default() })
}

pub(super) const ROWS: &[Row] = &[
    ("MirrorCategories", Serves::TenantAdmins, |n| mirror(Target::Tenant(tenant(n)))),
    ("MirrorCategories", Serves::TenantAdmins, |n| mirror(Target::Organization(n.organization.to_owned()))),
    ("MirrorCategories", Serves::Admins, |_| mirror(Target::AllTenants(true))),
    ("GetRun", Serves::TenantReaders, |n| proto::GetRunRequest { name: n.run.clone() }.encode_to_vec()),
    ("GetRun", Serves::TenantReaders, |n| proto::GetRunRequest { name: nameless(&n.run) }.encode_to_vec()),
    ("GetLastRun", Serves::TenantReaders, |n| {
        proto::GetLastRunRequest { tenant: tenant(n), strategy: 1 }.encode_to_vec()
    }),
    ("CancelRun", Serves::TenantAdmins, |n| proto::CancelRunRequest { name: n.run.clone() }.encode_to_vec()),
    ("CancelRun", Serves::TenantAdmins, |n| proto::CancelRunRequest { name: nameless(&n.run) }.encode_to_vec()),
    ("RevertRun", Serves::TenantAdmins, |n| {
        proto::RevertRunRequest { name: n.run.clone(), ..Default::default() }.encode_to_vec()
    }),
    ("RevertRun", Serves::TenantAdmins, |n| {
        proto::RevertRunRequest { name: nameless(&n.run), ..Default::default() }.encode_to_vec()
    }),
    ("ListSyncLogs", Serves::TenantReaders, |n| {
        proto::ListSyncLogsRequest { tenant: tenant(n), ..Default::default() }.encode_to_vec()
    }),
    ("ListSyncLogs", Serves::TenantReaders, |n| {
        proto::ListSyncLogsRequest { batch: n.batch.clone(), ..Default::default() }.encode_to_vec()
    }),
    ("ListSyncLogs", Serves::Readers, |_| proto::ListSyncLogsRequest::default().encode_to_vec()),
    ("GetSyncStats", Serves::TenantReaders, |n| {
        proto::GetSyncStatsRequest { tenant: tenant(n), ..Default::default() }.encode_to_vec()
    }),
    ("GetSyncStats", Serves::Readers, |_| proto::GetSyncStatsRequest::default().encode_to_vec()),
    ("StreamRunUpdates", Serves::TenantReaders, |n| {
        proto::StreamRunUpdatesRequest { name: n.run.clone(), after_revision: 0 }.encode_to_vec()
    }),
    ("StreamRunUpdates", Serves::TenantReaders, |n| {
        proto::StreamRunUpdatesRequest { name: n.batch.clone(), after_revision: 0 }.encode_to_vec()
    }),
    ("StreamRunUpdates", Serves::TenantReaders, |n| {
        proto::StreamRunUpdatesRequest { name: tenant(n), after_revision: 0 }.encode_to_vec()
    }),
    ("GetBatch", Serves::TenantReaders, |n| proto::GetBatchRequest { name: n.batch.clone() }.encode_to_vec()),
    ("ListBatches", Serves::Readers, |_| proto::ListBatchesRequest::default().encode_to_vec()),
    ("CancelBatch", Serves::TenantAdmins, |n| proto::CancelBatchRequest { name: n.batch.clone() }.encode_to_vec()),
    ("CreateTenant", Serves::UnlimitedAdmins, |n| {
        let tenant = Some(proto::Tenant { name: tenant(n), ..new_tenant() });
        proto::CreateTenantRequest { tenant }.encode_to_vec()
    }),
    ("GetTenant", Serves::TenantReaders, |n| proto::GetTenantRequest { name: tenant(n) }.encode_to_vec()),
    ("ListTenants", Serves::Readers, |_| proto::ListTenantsRequest::default().encode_to_vec()),
    ("UpdateTenant", Serves::TenantAdmins, |n| update(n, |it| it.display_name = "Mine".to_owned())),
    ("UpdateTenant", Serves::TenantAdmins, |n| update(n, |it| it.region_code = "DE".to_owned())),
    ("UpdateTenant", Serves::TenantAdmins, |n| update(n, |it| it.language_code = "de".to_owned())),
    ("UpdateTenant", Serves::MoversOfTenants, |n| update(n, |it| it.organization = "organizations/new".to_owned())),
    ("UpdateTenant", Serves::MoversOfTenants, |n| {
        let mask = prost_types::FieldMask { paths: vec!["organization".to_owned()] };
        let left = proto::Tenant { name: tenant(n), ..Default::default() };
        proto::UpdateTenantRequest { tenant: Some(left), update_mask: Some(mask) }.encode_to_vec()
    }),
    // A location of nobody, one that is another tenant's, and its own in another account: none is told from the others.
    ("UpdateTenant", Serves::MoversOfTenants, |n| update(n, |it| move_to(it, "1", "9999"))),
    ("UpdateTenant", Serves::MoversOfTenants, |n| update(n, |it| move_to(it, "1", "third"))),
    ("UpdateTenant", Serves::MoversOfTenants, |n| {
        let own = n.tenant.to_owned();
        update(n, |it| move_to(it, "2", &own))
    }),
    ("UpdateTenant", Serves::MoversOfTenants, |n| {
        let mask = prost_types::FieldMask { paths: vec!["gbp_account".to_owned(), "gbp_location".to_owned()] };
        let away = proto::Tenant { name: tenant(n), ..Default::default() };
        proto::UpdateTenantRequest { tenant: Some(away), update_mask: Some(mask) }.encode_to_vec()
    }),
    ("SetTenantCategories", Serves::TenantAdmins, |n| {
        let primary = "platformCategories/bar".to_owned();
        let categories = Some(proto::TenantCategories { primary, ..Default::default() });
        proto::SetTenantCategoriesRequest { tenant: tenant(n), categories }.encode_to_vec()
    }),
    ("GetTenantCategories", Serves::TenantReaders, |n| {
        proto::GetTenantCategoriesRequest { tenant: tenant(n) }.encode_to_vec()
    }),
    ("ImportTenants", Serves::UnlimitedAdmins, |n| {
        let tenant = proto::Tenant { name: tenant(n), ..new_tenant() };
        let tenants = vec![proto::TenantImport { tenant: Some(tenant), categories: None }];
        proto::ImportTenantsRequest { tenants, validate_only: false }.encode_to_vec()
    }),
    ("GetTenantSync", Serves::TenantReaders, |n| {
        proto::GetTenantSyncRequest { name: format!("{}/sync", tenant(n)) }.encode_to_vec()
    }),
    ("ListTenantSyncs", Serves::Readers, |_| proto::ListTenantSyncsRequest::default().encode_to_vec()),
    ("DecideTenantSync", Serves::TenantAdmins, |n| {
        let (name, reason) = (format!("{}/sync", tenant(n)), "why".to_owned());
        proto::DecideTenantSyncRequest { name, decision: 3, reason, ..Default::default() }.encode_to_vec()
    }),
    ("CreatePlatformCategory", Serves::UnlimitedAdmins, |_| {
        proto::CreatePlatformCategoryRequest { platform_category: category("new") }.encode_to_vec()
    }),
    ("GetPlatformCategory", Serves::Readers, |_| {
        proto::GetPlatformCategoryRequest { name: "platformCategories/bar".to_owned() }.encode_to_vec()
    }),
    ("ListPlatformCategories", Serves::Readers, |_| proto::ListPlatformCategoriesRequest::default().encode_to_vec()),
    ("UpdatePlatformCategory", Serves::UnlimitedAdmins, |_| {
        proto::UpdatePlatformCategoryRequest { platform_category: category("bar"), update_mask: None }.encode_to_vec()
    }),
    ("DeletePlatformCategory", Serves::UnlimitedAdmins, |_| {
        proto::DeletePlatformCategoryRequest { name: "platformCategories/deli".to_owned() }.encode_to_vec()
    }),
    ("ImportPlatformCategories", Serves::UnlimitedAdmins, |_| {
        let platform_categories = category("imported").into_iter().collect();
        proto::ImportPlatformCategoriesRequest { platform_categories, validate_only: false }.encode_to_vec()
    }),
    ("RefreshTaxonomy", Serves::UnlimitedAdmins, |_| {
        let (region_code, language_code) = ("US".to_owned(), "en".to_owned());
        proto::RefreshTaxonomyRequest { region_code, language_code, ..Default::default() }.encode_to_vec()
    }),
    ("ListTaxonomyVersions", Serves::Readers, |_| proto::ListTaxonomyVersionsRequest::default().encode_to_vec()),
    ("SearchCategories", Serves::Readers, |_| {
        let (region_code, language_code) = ("US".to_owned(), "en".to_owned());
        proto::SearchCategoriesRequest { region_code, language_code, ..Default::default() }.encode_to_vec()
    }),
    ("ListMappingSuggestions", Serves::Readers, |_| {
        let (region_code, language_code) = ("US".to_owned(), "en".to_owned());
        proto::ListMappingSuggestionsRequest { region_code, language_code, ..Default::default() }.encode_to_vec()
    }),
    ("SetCredentials", Serves::UnlimitedAdmins, |_| {
        let [account, client_id, client_secret, refresh_token] = ["accounts/1", "id", "s", "r"].map(str::to_owned);
        proto::SetCredentialsRequest { account, client_id, client_secret, refresh_token }.encode_to_vec()
    }),
    ("GetCredentials", Serves::UnlimitedAdmins, |_| {
        proto::GetCredentialsRequest { account: "accounts/1".to_owned() }.encode_to_vec()
    }),
    ("ListCredentials", Serves::UnlimitedAdmins, |_| proto::ListCredentialsRequest::default().encode_to_vec()),
    ("VerifyCredentials", Serves::UnlimitedAdmins, |_| {
        proto::VerifyCredentialsRequest { account: "accounts/1".to_owned() }.encode_to_vec()
    }),
    ("ReencryptCredentials", Serves::UnlimitedAdmins, |_| {
        proto::ReencryptCredentialsRequest::default().encode_to_vec()
    }),
    ("DeleteCredentials", Serves::UnlimitedAdmins, |_| {
        proto::DeleteCredentialsRequest { account: "accounts/1".to_owned() }.encode_to_vec()
    }),
    ("ListFlags", Serves::Readers, |_| proto::ListFlagsRequest::default().encode_to_vec()),
    ("GetFlag", Serves::Readers, |_| proto::GetFlagRequest { name: flag() }.encode_to_vec()),
    ("UpdateFlag", Serves::UnlimitedAdmins, |_| {
        let flag = proto::Flag { name: flag(), state: 1, ..Default::default() };
        proto::UpdateFlagRequest { flag: Some(flag), ..Default::default() }.encode_to_vec()
    }),
    ("EvaluateFlag", Serves::TenantReaders, |n| {
        proto::EvaluateFlagRequest { name: flag(), tenant: tenant(n) }.encode_to_vec()
    }),
    ("ListFlagChanges", Serves::UnlimitedReaders, |_| proto::ListFlagChangesRequest::default().encode_to_vec()),
    // The last, because it may succeed.
    ("DeleteTenant", Serves::MoversOfTenants, |n| proto::DeleteTenantRequest { name: tenant(n) }.encode_to_vec()),
];

fn new_tenant() -> proto::Tenant {
    let [display_name, region_code, language_code] = ["New", "US", "en"].map(str::to_owned);
    proto::Tenant { display_name, region_code, language_code, ..Default::default() }
}

fn move_to(tenant: &mut proto::Tenant, account: &str, location: &str) {
    tenant.gbp_account = format!("accounts/{account}");
    tenant.gbp_location = format!("locations/{location}");
}

fn flag() -> String {
    "flags/FF_CATEGORY_MIRRORING".to_owned()
}

/// The run's name without its tenant.
fn nameless(run: &str) -> String {
    format!("tenants/-/runs/{}", run.rsplit('/').next().expect("an id"))
}
