//! What a list prints as JSON is what an import accepts.

use std::collections::HashMap;

use category_mirror_proto::v1;

use super::{command, fed, mirrorctl, text};
use crate::fake::Fake;

#[tokio::test]
async fn tenants_are_imported_as_they_were_listed() {
    let fake = Fake::start().await;
    let time = Some(prost_types::Timestamp { seconds: 1_800_000_000, nanos: 0 });
    let with_all = v1::Tenant {
        name: "tenants/a".into(),
        display_name: "Café \u{202e}é".into(),
        organization: "organizations/acme".into(),
        gbp_account: "accounts/1".into(),
        gbp_location: "locations/2".into(),
        region_code: "US".into(),
        language_code: "en".into(),
        create_time: time,
        update_time: time,
    };
    let with_little = v1::Tenant { name: "tenants/b".into(), display_name: "B".into(), ..Default::default() };
    let tenants = vec![with_all.clone(), with_little.clone()];
    fake.methods.list_tenants.will(Ok(v1::ListTenantsResponse { tenants, ..Default::default() }));
    fake.methods.import_tenants.will(Ok(v1::ImportTenantsResponse { unchanged_count: 2, ..Default::default() }));
    let listed = mirrorctl(&fake, &["tenant", "list", "--output", "json"]).await;
    let output = fed(command(&fake, &["tenant", "import", "--file", "-"]), &listed.stdout).await;
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
    let asked = fake.methods.import_tenants.asked();
    let imported: Vec<_> = asked[0].message.tenants.iter().map(|it| it.tenant.clone().expect("a tenant")).collect();
    let without_times = v1::Tenant { create_time: None, update_time: None, ..with_all };
    assert_eq!(imported, [without_times, with_little]);
    assert!(asked[0].message.tenants.iter().all(|it| it.categories.is_none()), "categories are left alone");
}

#[tokio::test]
async fn platform_categories_are_imported_as_they_were_listed() {
    let fake = Fake::start().await;
    let time = Some(prost_types::Timestamp { seconds: 1_800_000_000, nanos: 0 });
    let regional =
        HashMap::from([("IN".to_owned(), "categories/gcid:cake".to_owned()), ("US".to_owned(), String::new())]);
    let mapped = v1::PlatformCategory {
        name: "platformCategories/bakery".into(),
        display_name: "Bakery".into(),
        gbp_category: "categories/gcid:bakery".into(),
        regional_gbp_categories: regional,
        mapping_state: 2,
        imported: true,
        create_time: time,
        update_time: time,
        ..Default::default()
    };
    let unmapped = v1::PlatformCategory { name: "platformCategories/x".into(), ..Default::default() };
    let platform_categories = vec![mapped.clone(), unmapped.clone()];
    let page = v1::ListPlatformCategoriesResponse { platform_categories, ..Default::default() };
    fake.methods.list_platform_categories.will(Ok(page));
    fake.methods.import_platform_categories.will(Ok(v1::ImportPlatformCategoriesResponse::default()));
    let listed = mirrorctl(&fake, &["platform-category", "list", "--output", "json"]).await;
    let output = fed(command(&fake, &["platform-category", "import", "--file", "-"]), &listed.stdout).await;
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
    let asked = fake.methods.import_platform_categories.asked();
    let set_by_server =
        v1::PlatformCategory { mapping_state: 0, imported: false, create_time: None, update_time: None, ..mapped };
    assert_eq!(asked[0].message.platform_categories, [set_by_server, unmapped]);
}
