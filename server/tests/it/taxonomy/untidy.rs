//! Real data that nobody tidied: each is accepted normalised, or refused with the reason.

use category_mirror_client::{Error, TenantImport};

use crate::service;

fn told(error: &Error) -> String {
    assert_eq!(error.reason(), Some("INVALID_REQUEST"), "{error}");
    let violations = error.field_violations().iter();
    violations.map(|violation| format!("{} {}", violation.field, violation.description)).collect::<Vec<_>>().join("; ")
}

#[tokio::test]
async fn untidy_mappings_are_normalised_or_refused() {
    let service = service::start().await;
    service.refresh().await;
    let field = "platform_category.gbp_category";
    let form = "must be `gcid:<slug>` or `categories/gcid:<slug>`, such as `gcid:grocery_store`";
    for (slug, given, outcome) in [
        ("a", "categories/gcid:grocery_store", Ok("categories/gcid:grocery_store")),
        ("b", "gcid:grocery_store", Ok("categories/gcid:grocery_store")),
        (
            "c",
            "gcid:african-grocery-store",
            Err("`gcid:african-grocery-store` contains hyphens, which Google's identifiers never do"),
        ),
        ("d", "categories/GROCERY STORE", Err(form)),
        ("e", "categories/grocery_store", Err(form)),
        ("h", "GROCERY STORE", Err(form)),
        ("f", "gcid:african_grocery_store", Err("`gcid:african_grocery_store` is not in Google's list (US)")),
        ("g", "gcid:Grocery_Store", Err("the part after `gcid:` must be 1 to 120 characters of a-z, 0-9 and _")),
    ] {
        let created =
            service.client.create_platform_category(slug).display_name("Groceries").gbp_category(given).send().await;
        match (created, outcome) {
            (Ok(created), Ok(stored)) => assert_eq!(created.gbp_category.as_deref(), Some(stored), "{given}"),
            (Err(refused), Err(reason)) => assert_eq!(told(&refused), format!("{field} {reason}"), "{given}"),
            (created, outcome) => panic!("{given}: {created:?} and not {outcome:?}"),
        }
    }
    let two = service.client.list_platform_categories().send().collect().await.expect("listed");
    assert_eq!(two.len(), 2, "what was refused left nothing");
}

#[tokio::test]
async fn a_name_that_was_escaped_for_html_is_refused_and_never_decoded_silently() {
    let service = service::start().await;
    let escaped = "Chicken &amp; Mutton Shop";
    let reason = "holds the HTML entity `&amp;`; send the character that it stands for";
    let category = service.client.create_platform_category("a").display_name(escaped).send().await;
    assert_eq!(told(&category.expect_err("escaped")), format!("platform_category.display_name {reason}"));
    let tenant =
        service.client.create_tenant("a").display_name(escaped).region_code("IN").language_code("en").send().await;
    assert_eq!(told(&tenant.expect_err("escaped")), format!("tenant.display_name {reason}"));
    let plain = service.client.create_platform_category("a").display_name("Chicken & Mutton Shop").send().await;
    assert_eq!(plain.expect("plain").display_name, "Chicken & Mutton Shop");
}

#[tokio::test]
async fn untidy_sets_are_refused_with_the_reason_one_by_one_and_in_an_import() {
    let service = service::start().await;
    let slugs: Vec<String> = (0..57).map(|n| format!("product-{n}")).collect();
    for slug in &slugs {
        service.categories(&[(slug, "")]).await;
    }
    let slug_form = "must be `platformCategories/{id}`, the id 1 to 63 characters of a-z, 0-9, `-` and `_`, beginning with a letter or digit";
    let products: Vec<&str> = slugs.iter().map(String::as_str).collect();
    for (tenant, set, reason) in [
        ("many", &products[..], "categories.additional has 56 categories, at most 9 are allowed".to_owned()),
        (
            "twice",
            &["product-1", "product-2", "product-1"],
            "categories.additional[1] `product-1` occurs more than once".to_owned(),
        ),
        ("gcid", &["categories/gcid:grocery_store"], format!("categories.primary {slug_form}")),
        ("hyphen", &["gcid:african-grocery-store"], format!("categories.primary {slug_form}")),
        ("name", &["GROCERY STORE"], format!("categories.primary {slug_form}")),
        ("unknown", &["grocery"], "categories.primary platformCategories/grocery does not exist".to_owned()),
    ] {
        service.tenant(tenant, tenant).await;
        let one =
            service.client.set_tenant_categories(tenant, set[0]).additional(set[1..].iter().copied()).send().await;
        assert_eq!(told(&one.expect_err(tenant)), reason, "{tenant}");
        let item = TenantImport::new(tenant).display_name(tenant).region_code("US").language_code("en");
        let item = item.categories(set[0], set[1..].iter().copied());
        let report = service.client.import_tenants([item]).send().await.expect("reported");
        let violation = &report.failures[0].violations[0];
        assert_eq!(format!("{} {}", violation.field, violation.description), reason, "{tenant}");
        let kept = service.client.get_tenant_categories(tenant).send().await.expect("there");
        assert_eq!(kept.primary, None, "{tenant}: nothing was guessed");
    }
}
