//! What would create or change something.

use category_mirror_proto::v1;
use prost_types::FieldMask;
use tonic::Code;

use super::{ClaimLimits, press};
use crate::wire::refusal;

fn new_tenant() -> v1::Tenant {
    v1::Tenant {
        name: "tenants/new".to_owned(),
        display_name: "New".to_owned(),
        organization: "organizations/chain".to_owned(),
        gbp_account: "accounts/1".to_owned(),
        gbp_location: "locations/99".to_owned(),
        region_code: "US".to_owned(),
        language_code: "en".to_owned(),
        ..Default::default()
    }
}

fn set(primary: &str, additional: &[&str]) -> v1::SetTenantCategoriesRequest {
    let name = |slug: &str| format!("platformCategories/{slug}");
    let additional = additional.iter().map(|slug| name(slug)).collect();
    let categories = Some(v1::TenantCategories { primary: name(primary), additional, update_time: None });
    v1::SetTenantCategoriesRequest { tenant: "tenants/store".to_owned(), categories }
}

#[tokio::test]
async fn asking_for_a_run() {
    let mut room = ClaimLimits::new().await;
    let unknown = refusal(room.wire.mirror.mirror_categories(press(1, "tenants/nobody", "id")).await);
    assert_eq!((unknown.code, unknown.reason.as_str()), (Code::NotFound, "TENANT_NOT_FOUND"));
    for (request, fields) in [
        (press(0, "tenants/store", ""), &["strategy"][..]),
        (press(3, "tenants/store", ""), &["strategy"]),
        (press(-1, "tenants/store", ""), &["strategy"]),
        (press(1, "", ""), &["tenant"]),
        (press(1, "tenants/", ""), &["tenant"]),
        (press(1, "tenants/-", ""), &["tenant"]),
        (press(1, "organizations/store", ""), &["tenant"]),
        (press(1, "tenants/store", &"x".repeat(129)), &["request_id"]),
        (press(1, "tenants/store", "a\nb"), &["request_id"]),
        (press(1, "tenants/store", "caf\u{e9}"), &["request_id"]),
        (v1::MirrorCategoriesRequest { target: None, ..press(1, "", "") }, &["target"]),
        (press(i32::MAX, &"x".repeat(100_000), "\0"), &["strategy", "tenant", "request_id"]),
        (v1::MirrorCategoriesRequest::default(), &["strategy", "target"]),
    ] {
        let answer = room.wire.mirror.mirror_categories(request).await;
        room.names(answer, fields).await;
    }
}

#[tokio::test]
async fn creating_and_changing_a_tenant() {
    let mut room = ClaimLimits::new().await;
    let long = "x".repeat(100 * 1024);
    type Edit<'a> = &'a dyn Fn(&mut v1::Tenant);
    let cases: [(Edit<'_>, &[&str]); 13] = [
        (&|tenant| tenant.name = format!("tenants/{long}"), &["tenant.name"]),
        (&|tenant| tenant.name.clear(), &["tenant.name"]),
        (&|tenant| tenant.display_name = long.clone(), &["tenant.display_name"]),
        (&|tenant| tenant.display_name = "a\u{1b}[2Jb".to_owned(), &["tenant.display_name"]),
        (&|tenant| tenant.display_name = "a\0b".to_owned(), &["tenant.display_name"]),
        (&|tenant| tenant.display_name = " \t".to_owned(), &["tenant.display_name"]),
        (&|tenant| tenant.organization = "organizations/a/b".to_owned(), &["tenant.organization"]),
        (&|tenant| tenant.gbp_account.clear(), &["tenant.gbp_account"]),
        (&|tenant| tenant.gbp_location.clear(), &["tenant.gbp_location"]),
        (&|tenant| tenant.gbp_location = "locations/1:getGoogleUpdated".to_owned(), &["tenant.gbp_location"]),
        (&|tenant| tenant.gbp_location = "locations/77?updateMask=title".to_owned(), &["tenant.gbp_location"]),
        (
            &|tenant| (tenant.region_code, tenant.language_code) = ("us".into(), "English".into()),
            &["tenant.region_code", "tenant.language_code"],
        ),
        (
            &|tenant| {
                *tenant = v1::Tenant {
                    gbp_account: "?".into(),
                    gbp_location: "?".into(),
                    organization: "?".into(),
                    ..Default::default()
                }
            },
            &[
                "tenant.name",
                "tenant.display_name",
                "tenant.organization",
                "tenant.gbp_account",
                "tenant.gbp_location",
                "tenant.region_code",
                "tenant.language_code",
            ],
        ),
    ];
    for (edit, fields) in cases {
        let mut tenant = new_tenant();
        edit(&mut tenant);
        let answer = room.wire.tenants.create_tenant(v1::CreateTenantRequest { tenant: Some(tenant) }).await;
        room.names(answer, fields).await;
    }
    let answer = room.wire.tenants.create_tenant(v1::CreateTenantRequest { tenant: None }).await;
    room.names(answer, &["tenant"]).await;

    let masks: [(&[&str], &[&str]); 6] = [
        (&["display_name", "no_such_field"], &["update_mask"]),
        (&["name"], &["update_mask"]),
        (&["*"], &["update_mask"]),
        (&["displayName", "tenant.display_name"], &["update_mask", "update_mask"]),
        (&["gbp_location"], &["update_mask"]),
        (&["create_time", "region_code"], &["update_mask"]),
    ];
    for (paths, fields) in masks {
        let tenant = Some(v1::Tenant { name: "tenants/store".to_owned(), ..new_tenant() });
        let update_mask = Some(FieldMask { paths: paths.iter().map(ToString::to_string).collect() });
        let answer = room.wire.tenants.update_tenant(v1::UpdateTenantRequest { tenant, update_mask }).await;
        room.names(answer, fields).await;
    }
    let nothing = v1::UpdateTenantRequest {
        tenant: Some(v1::Tenant { name: "tenants/store".to_owned(), ..Default::default() }),
        update_mask: None,
    };
    let answer = room.wire.tenants.update_tenant(nothing).await;
    room.names(answer, &["update_mask"]).await;
}

#[tokio::test]
async fn setting_categories() {
    let mut room = ClaimLimits::new().await;
    let ten: Vec<String> = (0..10).map(|n| format!("c{n}")).collect();
    let ten: Vec<&str> = ten.iter().map(String::as_str).collect();
    for (request, fields) in [
        (set("cafe", &ten), &["categories.additional"][..]),
        (set("cafe", &["bar", "deli", "bar"]), &["categories.additional[2]"]),
        (set("cafe", &["bar", "cafe"]), &["categories.additional[1]"]),
        (set("cafe", &["nowhere", "bar", "neither"]), &["categories.additional[0]", "categories.additional[2]"]),
        (
            set("Not A Slug", &["bar", "'; drop table tenant; --", "bar"]),
            &["categories.primary", "categories.additional[1]", "categories.additional[2]"],
        ),
        (set("", &[]), &["categories.primary"]),
        (v1::SetTenantCategoriesRequest { tenant: "x y".into(), categories: None }, &["tenant", "categories"]),
        (
            v1::SetTenantCategoriesRequest { tenant: "tenants/store".into(), categories: Some(Default::default()) },
            &["categories.primary"],
        ),
    ] {
        let answer = room.wire.tenants.set_tenant_categories(request).await;
        room.names(answer, fields).await;
    }
}

/// Thousands of violations must not make an answer that no client can take: headers are limited, and errors travel in headers.
#[tokio::test]
async fn thousands_of_violations_are_answered_with_the_first_and_their_number() {
    let mut room = ClaimLimits::new().await;
    let emoji = "\u{1f600}";
    let answer = room.wire.tenants.set_tenant_categories(set("cafe", &vec![emoji; 9_000])).await;
    let refused = room.refuses(answer, "INVALID_REQUEST").await;
    assert_eq!((refused.fields.len(), refused.fields[0].as_str()), (16, "categories.additional[0]"));
    assert!(refused.status.message().ends_with(", and 8985 more violations"), "{}", refused.status.message());

    // More items than any field takes are counted, and not read.
    let answer = room.wire.tenants.set_tenant_categories(set("cafe", &vec![emoji; 20_000])).await;
    let refused = room.refuses(answer, "INVALID_REQUEST").await;
    assert_eq!(refused.fields, ["categories.additional"]);
    assert!(refused.status.message().contains("has 20000 items, at most 10000"), "{}", refused.status.message());

    let update_mask = Some(FieldMask { paths: vec![emoji.repeat(50); 4_000] });
    let request = v1::UpdateTenantRequest { tenant: Some(new_tenant()), update_mask };
    let answer = room.wire.tenants.update_tenant(request).await;
    let refused = room.refuses(answer, "INVALID_REQUEST").await;
    assert!(refused.status.message().ends_with(", and 3984 more violations"), "{}", refused.status.message());
}

#[tokio::test]
async fn a_message_that_is_too_large() {
    let mut room = ClaimLimits::new().await;
    let request = v1::UpdateFlagRequest { reason: "x".repeat(1024 * 1024), ..Default::default() };
    let answer = room.wire.flags.update_flag(request).await;
    assert_eq!(room.refuses(answer, "INVALID_REQUEST").await.fields, ["message"], "more than a mebibyte");
    // Where some thousand tenants may come at once, one may be larger, but not any size.
    let tenant = v1::Tenant { display_name: "x".repeat(4 * 1024 * 1024), ..new_tenant() };
    let answer = room.wire.tenants.create_tenant(v1::CreateTenantRequest { tenant: Some(tenant) }).await;
    assert_eq!(room.refuses(answer, "INVALID_REQUEST").await.fields, ["message"], "more than four");
}

/// What is text for people is kept to the letter, whatever a database, a URL, a page or a log could take it for.
#[tokio::test]
async fn texts_for_people_are_kept_to_the_letter() {
    let mut room = ClaimLimits::new().await;
    let display_name = "Robert'); drop table tenant; --\" <script>%00%s${x}\\' \u{1f600} ?a=b&c=%2F";
    let tenant = v1::Tenant { display_name: display_name.to_owned(), ..new_tenant() };
    room.wire.tenants.create_tenant(v1::CreateTenantRequest { tenant: Some(tenant) }).await.expect("created");
    let request = v1::GetTenantRequest { name: "tenants/new".to_owned() };
    let stored = room.wire.tenants.get_tenant(request).await.expect("stored").into_inner().tenant;
    assert_eq!(stored.expect("a tenant").display_name, display_name);

    let request_id = "'); delete from run; --";
    let answer = room.wire.mirror.mirror_categories(press(1, "tenants/new", request_id)).await.expect("accepted");
    assert_eq!(answer.into_inner().run.expect("a run").request_id, request_id);
}
