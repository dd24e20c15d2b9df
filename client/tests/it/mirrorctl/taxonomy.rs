//! Google's lists of categories.

use category_mirror_proto::v1;

use super::{mirrorctl, text};
use crate::fake::Fake;

#[tokio::test]
async fn a_refreshed_list_is_told_in_full() {
    let fake = Fake::start().await;
    let category = |name: &str, display_name: &str| v1::GbpCategory {
        name: format!("categories/gcid:{name}"),
        display_name: display_name.into(),
    };
    let renamed =
        v1::RenamedGbpCategory { category: Some(category("bar", "Taproom")), previous_display_name: "Bar".into() };
    let mapping = v1::AffectedMapping {
        platform_category: "platformCategories/deli".into(),
        gbp_category: "categories/gcid:deli".into(),
        effect: v1::affected_mapping::Effect::Retired.into(),
        tenant_count: 7,
    };
    fake.methods.refresh_taxonomy.will(Ok(v1::RefreshTaxonomyResponse {
        version: Some(v1::TaxonomyVersion { version: 2, ..Default::default() }),
        added: vec![category("moon_base", "Moon base")],
        renamed: vec![renamed],
        retired: vec![category("deli", "Deli")],
        affected_mappings: vec![mapping],
        ..Default::default()
    }));
    let output = mirrorctl(&fake, &["taxonomy", "refresh", "US", "en", "--allow-shrink", "Google says so"]).await;
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    for line in [
        "+ gcid:moon_base (Moon base)",
        "~ gcid:bar (Taproom), was Bar",
        "- gcid:deli (Deli)",
        "  retired   platformCategories/deli maps to categories/gcid:deli, 7 tenants",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}: {shown}");
    }
    let asked = fake.methods.refresh_taxonomy.asked();
    let sent = &asked[0].message;
    assert_eq!((sent.region_code.as_str(), sent.allow_shrink, sent.reason.as_str()), ("US", true, "Google says so"));
}

/// The server lists the first hundred of each kind, and counts all.
#[tokio::test]
async fn the_beginning_of_a_list_says_that_it_is_one() {
    let fake = Fake::start().await;
    let added = (0..100)
        .map(|n| v1::GbpCategory { name: format!("categories/gcid:c{n}"), display_name: String::new() })
        .collect();
    fake.methods.refresh_taxonomy.will(Ok(v1::RefreshTaxonomyResponse {
        version: Some(v1::TaxonomyVersion { version: 1, ..Default::default() }),
        added_count: 436,
        added,
        affected_tenants: vec!["tenants/a".into()],
        affected_tenant_count: 1,
        ..Default::default()
    }));
    let output = mirrorctl(&fake, &["taxonomy", "refresh", "US", "en"]).await;
    let shown = text(&output.stdout);
    let parts: Vec<&str> = shown.lines().filter(|line| line.contains("the first")).collect();
    assert_eq!(parts, ["  these are the first 100 of 436 added categories"], "{shown}");
}
