//! Names are kept in one form, and compared and found in it: what looks the same is the same.

use category_mirror_client::{PlatformCategoryImport, RunState, Strategy, TenantImport};
use serde_json::json;

use crate::service;

const NAME: &str = "Caf\u{e9}";
const DECOMPOSED: &str = "Cafe\u{301}";

#[tokio::test]
async fn a_name_is_kept_composed_and_without_direction_marks() {
    let service = service::start().await;
    let given = format!("\u{200e}{DECOMPOSED}\u{200f}");
    let tenant = service.client.create_tenant("a").display_name(&given).region_code("US").language_code("en");
    assert_eq!(tenant.send().await.expect("created").display_name, NAME);
    let category = service.client.create_platform_category("a").display_name(&given).send().await.expect("created");
    assert_eq!(category.display_name, NAME);
    let category = service.client.update_platform_category("a").display_name("Zoe\u{308}").send().await;
    assert_eq!(category.expect("changed").display_name, "Zo\u{eb}");
    let persian = "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645} \u{1f468}\u{200d}\u{1f373}";
    let tenant = service.client.update_tenant("a").display_name(persian).send().await.expect("changed");
    assert_eq!(tenant.display_name, persian);
}

#[tokio::test]
async fn an_import_of_the_same_names_in_another_form_changes_nothing() {
    let service = service::start().await;
    let category = |name: &str| [PlatformCategoryImport::new("a").display_name(name)];
    let tenant = |name: &str| [TenantImport::new("a").display_name(name).region_code("US").language_code("en")];
    for (n, form) in [NAME, DECOMPOSED, NAME].into_iter().enumerate() {
        let categories = service.client.import_platform_categories(category(form)).send().await.expect("imported");
        let tenants = service.client.import_tenants(tenant(form)).send().await.expect("imported");
        let expected = if n == 0 { (1, 0) } else { (0, 1) };
        assert_eq!((categories.created, categories.unchanged), expected, "{form:?}");
        assert_eq!((tenants.created, tenants.unchanged), expected, "{form:?}");
    }
    // Rows of a server that kept names as they came.
    for table in ["platform_category", "tenant"] {
        let sql = format!("update {table} set display_name = normalize(display_name, nfd)");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&service.pool).await.expect("changed");
    }
    let categories = service.client.import_platform_categories(category(NAME)).send().await.expect("imported");
    let tenants = service.client.import_tenants(tenant(NAME)).send().await.expect("imported");
    assert_eq!((categories.unchanged, tenants.unchanged), (1, 1));
}

#[tokio::test]
async fn googles_names_are_the_same_in_every_form_and_found_in_every_form() {
    let service = service::start().await;
    service.google.change_taxonomy(json!({"rename": {"gcid:cafe": NAME}})).await;
    let refresh = || async { service.client.refresh_taxonomy("US", "en").send().await.expect("imported") };
    let first = refresh().await;
    service.google.change_taxonomy(json!({"rename": {"gcid:cafe": DECOMPOSED}})).await;
    let second = refresh().await;
    assert_eq!((second.renamed_count, second.version.version), (0, first.version.version));
    for query in [NAME, DECOMPOSED] {
        let found = service.client.search_categories(query, "US", "en").send().collect().await.expect("found");
        assert_eq!(found[0].category.name, "categories/gcid:cafe", "{query:?}");
    }
    let kept: String = sqlx::query_scalar("select display_name from taxonomy_category where gcid = 'gcid:cafe'")
        .fetch_one(&service.pool)
        .await
        .expect("one row");
    assert_eq!(kept, NAME);
}

#[tokio::test]
async fn an_imported_name_in_another_form_is_no_change_of_the_tenants_categories() {
    let service = service::start().await;
    service.tenant("store", "77").await;
    service.google.rename("bakery", NAME).await;
    service.google.put("77", "bakery", &[]).await;
    for (n, form) in [NAME, DECOMPOSED].into_iter().enumerate() {
        service.google.rename("bakery", form).await;
        let run = service.client.mirror("store", Strategy::GbpToPlatform).send().await.expect("accepted").run;
        let run = service.ended(&run.name).await;
        assert_eq!(run.state, RunState::Succeeded, "{run:?}");
        assert_eq!(run.plan.expect("a plan").is_in_sync(), n == 1, "{form:?}");
    }
}
