//! Lists of how tenants stand.

use category_mirror::domain::Role;
use category_mirror_client::{SyncCause, SyncDecision};
use category_mirror_proto::v1::ListTenantSyncsRequest;

use super::Service;
use crate::{service, wire::Wire};

/// Rows of 30 tenants, of three causes and two organizations, as runs would have left them.
async fn thirty() -> Service {
    let service = service::start().await;
    let rows = "
        insert into tenant (id, display_name, organization_id, gbp_account, gbp_location, region_code, language_code, created_at, updated_at)
        select 't' || lpad(n::text, 2, '0'), 'T', (array['one', 'two'])[n % 2 + 1], '1', n::text, 'US', 'en', now(), now()
          from generate_series(0, 29) n;
        insert into tenant_sync (tenant_id, organization_id, gbp_location, cause, cause_at, matches_baseline, conflict_at)
        select id, organization_id, gbp_location, (array['in_sync', 'merchant_edited', 'edit_in_review'])[gbp_location::integer % 3 + 1],
               now(), false, case when gbp_location in ('1', '7') then now() end
          from tenant";
    sqlx::raw_sql(rows).execute(&service.pool).await.expect("rows");
    service
}

async fn listed(request: category_mirror_client::ListTenantSyncs) -> Vec<String> {
    let found = request.page_size(4).send().collect().await.expect("listed");
    found.into_iter().map(|sync| sync.tenant.trim_start_matches("tenants/").to_owned()).collect()
}

fn tenants(is_wanted: impl Fn(i32) -> bool) -> Vec<String> {
    (0..30).filter(|n| is_wanted(*n)).map(|n| format!("t{n:02}")).collect()
}

#[tokio::test]
async fn each_filter_and_their_combinations_find_what_they_name_page_by_page() {
    let service = thirty().await;
    let all = || service.client.list_tenant_syncs();
    assert_eq!(listed(all()).await, tenants(|_| true));
    assert_eq!(listed(all().cause(SyncCause::InSync)).await, tenants(|n| n % 3 == 0));
    let two = all().cause(SyncCause::EditInReview).cause(SyncCause::InSync);
    assert_eq!(listed(two).await, tenants(|n| n % 3 != 1));
    assert_eq!(listed(all().organization("two")).await, tenants(|n| n % 2 == 1));
    assert_eq!(listed(all().organization("two").cause(SyncCause::InSync)).await, tenants(|n| n % 6 == 3));
    assert_eq!(listed(all().out_of_sync_only()).await, tenants(|n| n % 3 == 1));
    assert_eq!(listed(all().in_conflict_only()).await, ["t01", "t07"]);
    assert_eq!(listed(all().in_conflict_only().organization("one")).await, [""; 0]);
    let limited = service.client_with(&service.token(Role::Viewer, "v", Some(&["t01", "t02", "t04"])));
    assert_eq!(listed(limited.list_tenant_syncs()).await, ["t01", "t02", "t04"]);
    assert_eq!(listed(limited.list_tenant_syncs().out_of_sync_only()).await, ["t01", "t04"]);
}

#[tokio::test]
async fn a_token_belongs_to_its_filters_and_a_tenant_out_of_scope_does_not_exist() {
    let service = thirty().await;
    let mut raw = Wire::admin(&service).tenants;
    let mut list = async |out_of_sync_only, page_token: String| {
        let request = ListTenantSyncsRequest { out_of_sync_only, page_token, page_size: 1, ..Default::default() };
        raw.list_tenant_syncs(request).await.map(tonic::Response::into_inner)
    };
    let first = list(true, String::new()).await.expect("a page");
    let next = list(true, first.next_page_token.clone()).await.expect("the next");
    assert_eq!(next.tenant_syncs[0].tenant, "tenants/t04");
    let mixed = list(false, first.next_page_token).await.expect_err("of another list");
    assert_eq!(mixed.code(), tonic::Code::InvalidArgument);

    let limited = service.client_with(&service.token(Role::Admin, "a", Some(&["t01"])));
    let get = limited.get_tenant_sync("t02").send().await.expect_err("out of scope");
    assert_eq!(get.reason(), Some("TENANT_NOT_FOUND"));
    let decide = limited.decide_tenant_sync("t02", SyncDecision::Ignore, "why").send().await.expect_err("out of scope");
    assert_eq!(decide.reason(), Some("TENANT_NOT_FOUND"));
    let viewer = service.client_with(&service.token(Role::Viewer, "v", None));
    let decide = viewer.decide_tenant_sync("t02", SyncDecision::Ignore, "why").send().await.expect_err("a viewer");
    assert_eq!(decide.reason(), Some("PERMISSION_DENIED"));
}

#[tokio::test]
async fn a_decision_waits_for_no_run_and_says_what_is_missing() {
    let service = thirty().await;
    let error = service.client.decide_tenant_sync("", SyncDecision::Unknown(9), "").send().await.expect_err("nothing");
    let fields: Vec<&str> = error.field_violations().iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!(fields, ["name", "decision", "reason"]);
    service.client.update_tenant("t03").clear_location().send().await.expect("updated");
    let nowhere = service.client.decide_tenant_sync("t03", SyncDecision::Ignore, "why").send().await;
    assert_eq!(nowhere.expect_err("no location").reason(), Some("NO_LOCATION"));
}
