//! Importing many tenants and platform categories at once.

use category_mirror_client::{ImportReport, PlatformCategoryImport, TenantImport};
use category_mirror_proto::v1;

use crate::{
    service,
    wire::{Wire, contents, refusal},
};

fn tenant(id: &str) -> TenantImport {
    TenantImport::new(id).display_name(id.to_uppercase()).region_code("US").language_code("en")
}

fn category(slug: &str) -> PlatformCategoryImport {
    PlatformCategoryImport::new(slug).display_name(slug.to_uppercase())
}

fn counts(report: &ImportReport) -> (i32, i32, i32, Vec<usize>) {
    (report.created, report.updated, report.unchanged, report.failures.iter().map(|failure| failure.index).collect())
}

#[tokio::test]
async fn every_good_tenant_is_taken_and_everything_wrong_with_the_others_is_told() {
    let service = service::start().await;
    service.with_store(&["cafe"], "cafe", &[]).await;
    let items = || {
        [
            tenant("one").location("1", "101").categories("cafe", ["bar"]),
            tenant("b/ad").location("1", "").region_code("usa").categories("cafe", ["cafe"]),
            tenant("twice"),
            tenant("two").organization("chain"),
            tenant("twice").display_name("Another"),
            tenant("taken").location("1", "77"),
            tenant("same").location("1", "102"),
            tenant("place").location("1", "102"),
            tenant("unknown").categories("nothing", ["such"]),
            tenant("store").categories("bar", ["deli"]),
        ]
    };
    let before = contents(&service.pool).await;
    let rehearsed = service.client.import_tenants(items()).validate_only(true).send().await.expect("rehearsed");
    assert_eq!(contents(&service.pool).await, before, "a rehearsal changes nothing");
    let report = service.client.import_tenants(items()).send().await.expect("imported");
    assert_eq!(report, rehearsed);
    assert_eq!(counts(&report), (2, 1, 0, vec![1, 2, 4, 5, 6, 7, 8]));
    let fields = |index: usize| {
        let failure = report.failures.iter().find(|failure| failure.index == index).expect("a failure");
        failure.violations.iter().map(|violation| violation.field.as_str()).collect::<Vec<_>>()
    };
    let all = ["tenant.name", "tenant.gbp_location", "tenant.region_code", "categories.additional[0]"];
    assert_eq!(fields(1), all, "all of it at once");
    assert_eq!(
        (fields(2), fields(4)),
        (vec!["tenant.name"], vec!["tenant.name"]),
        "nobody knows which of the two is meant"
    );
    assert_eq!(fields(5), ["tenant.gbp_location"]);
    assert_eq!((fields(6), fields(7)), (vec!["tenant.gbp_location"], vec!["tenant.gbp_location"]));
    assert_eq!(fields(8), ["categories.primary", "categories.additional[0]"]);
    assert_eq!(report.failures[0].name, "b/ad", "as it was sent");

    let one = service.client.get_tenant_categories("one").send().await.expect("there");
    assert_eq!((one.primary.as_deref(), one.additional.len()), (Some("platformCategories/cafe"), 1));
    let store = service.client.get_tenant_categories("store").send().await.expect("there");
    assert_eq!(store.primary.as_deref(), Some("platformCategories/bar"));

    let after = contents(&service.pool).await;
    let again = service.client.import_tenants(items()).send().await.expect("imported again");
    assert_eq!(counts(&again), (0, 0, 3, vec![1, 2, 4, 5, 6, 7, 8]), "what is as it should be is left alone");
    assert_eq!(contents(&service.pool).await, after);

    let less = tenant("two").display_name("Renamed");
    let report = service.client.import_tenants([less]).send().await.expect("imported");
    assert_eq!(counts(&report), (0, 1, 0, vec![]));
    let two = service.client.get_tenant("two").send().await.expect("there");
    let chain = two.organization.as_deref();
    assert_eq!(
        (two.display_name.as_str(), chain),
        ("Renamed", Some("organizations/chain")),
        "what is empty takes nothing away"
    );
}

#[tokio::test]
async fn a_tenant_whose_categories_may_not_be_changed_keeps_them_in_an_import_too() {
    let service = service::start().await;
    service.with_store(&["cafe"], "cafe", &[]).await;
    service.client.import_tenants([tenant("member").organization("chain")]).send().await.expect("imported");
    let update = service.client.update_flag("FF_TENANT_PLATFORM_CATEGORY").state(category_mirror_client::FlagState::On);
    update.excluded_organizations(["chain"]).send().await.expect("excluded");
    let items = [tenant("member").categories("cafe", [""; 0]), tenant("store").categories("bar", [""; 0])];
    let report = service.client.import_tenants(items).send().await.expect("imported");
    assert_eq!(counts(&report), (0, 1, 0, vec![0]));
    let violation = &report.failures[0].violations[0];
    assert!(violation.description.contains("FF_TENANT_PLATFORM_CATEGORY is off"), "{violation:?}");
    assert_eq!(service.client.get_tenant_categories("member").send().await.expect("there").primary, None);
}

#[tokio::test]
async fn platform_categories_are_imported_with_their_mappings_and_lose_none() {
    let service = service::start().await;
    service.refresh().await;
    let items = || {
        [
            category("cafe").gbp_category("gcid:cafe").regional_gbp_category("IN", "gcid:bakery"),
            category("b a d").gbp_category("GROCERY STORE").regional_gbp_category("india", "gcid:a-b"),
            category("made-up").gbp_category("gcid:african_grocery_store"),
            category("yoga"),
            category("abroad").regional_gbp_category("US", "gcid:nothing_such"),
            category("escaped").display_name("Chicken &amp; Mutton Shop"),
        ]
    };
    let before = contents(&service.pool).await;
    let rehearsed =
        service.client.import_platform_categories(items()).validate_only(true).send().await.expect("rehearsed");
    assert_eq!(contents(&service.pool).await, before);
    let report = service.client.import_platform_categories(items()).send().await.expect("imported");
    assert_eq!(report, rehearsed);
    assert_eq!(counts(&report), (2, 0, 0, vec![1, 2, 4, 5]));
    assert_eq!(report.failures[0].violations.len(), 4, "{:?}", report.failures[0]);
    assert_eq!(report.failures[2].violations[0].field, "platform_category.regional_gbp_categories[US]");

    let again = [category("cafe"), category("yoga").gbp_category("gcid:bar")];
    let report = service.client.import_platform_categories(again).send().await.expect("imported");
    assert_eq!(counts(&report), (0, 1, 1, vec![]));
    let cafe = service.client.get_platform_category("cafe").send().await.expect("there");
    assert_eq!(cafe.gbp_category.as_deref(), Some("categories/gcid:cafe"), "an import takes no mapping away");
    assert_eq!(cafe.regional_gbp_categories["IN"].as_deref(), Some("categories/gcid:bakery"));
    let moved = [category("cafe").regional_gbp_category("IN", "")];
    let report = service.client.import_platform_categories(moved).send().await.expect("imported");
    assert_eq!(counts(&report), (0, 1, 0, vec![]));
    assert_eq!(
        service.client.get_platform_category("cafe").send().await.expect("there").regional_gbp_categories["IN"],
        None
    );
}

#[tokio::test]
async fn some_thousand_fit_into_one_call_and_more_are_refused() {
    let service = service::start().await;
    service.categories(&[("cafe", ""), ("bar", "")]).await;
    let many = |count: usize| {
        (0..count).map(|n| tenant(&format!("t{n}")).location("1", format!("l{n}")).categories("cafe", ["bar"]))
    };
    let report = service.client.import_tenants(many(5000)).send().await.expect("imported");
    assert_eq!(counts(&report), (5000, 0, 0, vec![]));
    let refused = service.client.import_tenants(many(5001)).send().await.expect_err("too many");
    assert_eq!(refused.field_violations()[0].field, "tenants");
    let mut wire = Wire::admin(&service).tenants;
    let none = refusal(wire.import_tenants(v1::ImportTenantsRequest::default()).await);
    assert_eq!(none.fields, ["tenants"]);
}
