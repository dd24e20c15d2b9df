//! Mappings against Google's lists, and mappings that differ by region.

use category_mirror_client::{Error, MappingState, PlatformCategory, RunState};
use serde_json::json;

use crate::service::{self, Service};

async fn create(service: &Service, slug: &str, gcid: &str) -> Result<PlatformCategory, Error> {
    service.client.create_platform_category(slug).display_name(slug).gbp_category(gcid).send().await
}

fn violation(error: &Error) -> (&str, &str) {
    assert_eq!(error.reason(), Some("INVALID_REQUEST"), "{error}");
    let violation = &error.field_violations()[0];
    (&violation.field, &violation.description)
}

#[tokio::test]
async fn d9_a_mapping_is_checked_against_googles_list_where_there_is_one() {
    let service = service::start().await;
    let early = create(&service, "early", "gcid:african_grocery_store").await.expect("the form is good");
    assert_eq!(early.mapping_state, Some(MappingState::Unchecked), "and nothing else could be checked");
    create(&service, "deli", "gcid:deli").await.expect("created");

    service.refresh().await;
    let state =
        async |slug: &str| service.client.get_platform_category(slug).send().await.expect("there").mapping_state;
    assert_eq!(state("early").await, Some(MappingState::Unlisted));
    assert_eq!(state("deli").await, Some(MappingState::Listed));
    let refused = create(&service, "made-up", "gcid:african_grocery_store").await.expect_err("not in the list");
    let wanted = ("platform_category.gbp_category", "`gcid:african_grocery_store` is not in Google's list (US)");
    assert_eq!(violation(&refused), wanted);
    let listed = create(&service, "listed", "categories/gcid:grocery_store").await.expect("in the list");
    assert_eq!(listed.mapping_state, Some(MappingState::Listed));

    service.google_changes(&["gcid:deli"], &[], &[]).await;
    service.refresh().await;
    assert_eq!(state("deli").await, Some(MappingState::Retired));
    let update = service.client.update_platform_category("listed").gbp_category("gcid:deli").send().await;
    let refused = update.expect_err("retired");
    assert_eq!(violation(&refused), ("platform_category.gbp_category", "`gcid:deli` was retired by Google (US)"));
    let renamed = service.client.update_platform_category("deli").display_name("Deli").send().await;
    renamed.expect("what is not changed is not checked");
    let unmapped = service.client.update_platform_category("deli").clear_gbp_category().send().await.expect("unmapped");
    assert_eq!(unmapped.mapping_state, None);
}

#[tokio::test]
async fn a_regions_own_mapping_is_checked_in_that_region() {
    let service = service::start().await;
    service.refresh().await;
    service.client.refresh_taxonomy("IN", "en").send().await.expect("imported");
    let create = |region: &str, gcid: &str| {
        let request = service.client.create_platform_category("cafe").display_name("Café").gbp_category("gcid:cafe");
        request.regional_gbp_category(region, gcid).send()
    };
    let refused = create("IN", "gcid:nothing_such").await.expect_err("not in the list");
    let field = "platform_category.regional_gbp_categories[IN]";
    assert_eq!(violation(&refused), (field, "`gcid:nothing_such` is not in Google's list (IN)"));
    let refused = create("india", "gcid:bakery").await.expect_err("no region");
    assert_eq!(violation(&refused).0, "platform_category.regional_gbp_categories[india]");
    let refused = create("IN", "gcid:a-b").await.expect_err("no gcid");
    assert_eq!(violation(&refused).0, field);
    let created = create("DE", "gcid:nothing_such").await.expect("no list of Germany");
    assert_eq!(created.mapping_state, Some(MappingState::Unchecked), "the worst of both");
    assert_eq!(created.regional_gbp_categories["DE"].as_deref(), Some("categories/gcid:nothing_such"));
}

#[tokio::test]
async fn a_tenant_is_mirrored_by_the_mapping_of_its_region() {
    let service = service::start().await;
    service.with_store(&["cafe", "deli"], "bar", &[]).await;
    for (tenant, region) in [("in", "IN"), ("de", "DE")] {
        let create = service.client.create_tenant(tenant).display_name(tenant).location("1", tenant);
        create.region_code(region).language_code("en").send().await.expect("created");
        service.set(tenant, &["cafe", "deli"]).await;
        service.google.put(tenant, "bar", &[]).await;
    }
    let regional = [("IN", "gcid:bakery"), ("DE", "")];
    let changed = service.client.update_platform_category("cafe").regional_gbp_categories(regional).send().await;
    let regions: Vec<_> = changed.expect("changed").regional_gbp_categories.into_iter().collect();
    assert_eq!(regions, [("DE".to_owned(), None), ("IN".to_owned(), Some("categories/gcid:bakery".to_owned()))]);

    for (tenant, location, wanted) in [("store", "77", ["cafe", "deli"]), ("in", "in", ["bakery", "deli"])] {
        assert_eq!(service.mirror(tenant, false).await.state, RunState::Succeeded);
        assert_eq!(service.google.merchant(location).await, wanted, "{tenant}");
    }
    let unmapped = service.mirror("de", false).await;
    assert_eq!(unmapped.reason.as_deref(), Some("UNMAPPED_PRIMARY"), "it stands for nothing there");
    assert_eq!(service.google.merchant("de").await, ["bar"]);

    let cleared = service.client.update_platform_category("cafe").regional_gbp_categories([("", ""); 0]).send().await;
    assert!(cleared.expect("cleared").regional_gbp_categories.is_empty());
    assert_eq!(service.mirror("in", false).await.state, RunState::Succeeded);
    assert_eq!(service.google.merchant("in").await, ["cafe", "deli"]);
    service.client.delete_platform_category("yoga").send().await.expect("what nobody has can go");
}

#[tokio::test]
async fn a_retired_mapping_is_told_by_the_import_that_retires_it_in_its_region_only() {
    let service = service::start().await;
    service.with_store(&["cafe"], "cafe", &[]).await;
    let own = service.client.update_platform_category("cafe").regional_gbp_categories([("US", "gcid:bakery")]);
    own.send().await.expect("changed");
    for region in ["US", "IN"] {
        service.client.refresh_taxonomy(region, "en").send().await.expect("imported");
    }
    service.google.change_taxonomy(json!({"retire": ["gcid:bakery"]})).await;
    let hit = service.refresh().await.affected_mappings;
    let hit: Vec<_> = hit.iter().map(|it| (it.platform_category.as_str(), it.tenant_count)).collect();
    assert_eq!(hit, [("platformCategories/bakery", 0), ("platformCategories/cafe", 1)]);
    let hit = service.client.refresh_taxonomy("IN", "en").send().await.expect("imported").affected_mappings;
    let hit: Vec<_> = hit.iter().map(|it| (it.platform_category.as_str(), it.tenant_count)).collect();
    assert_eq!(hit, [("platformCategories/bakery", 0)], "cafe stands for gcid:cafe there");
}
