//! Tenants and categories: every way in which a change can be refused has its own error, and changes nothing.

use category_mirror::{
    domain::{Gcid, OrganizationId, PlatformCategoryChange, RegionalMapping, Slug, Tenant, TenantChange},
    error::Error,
};

use super::{TestStore, at, id, new_run, store_with, tenant, time};

fn slug(text: &str) -> Slug {
    Slug::parse(text).expect("a slug")
}

async fn category(store: &TestStore, name: &str) -> Slug {
    let gcid = Gcid::parse(&format!("gcid:{name}")).expect("a gcid");
    let entry =
        store.insert_platform_category(at(0), &slug(name), name, Some(&gcid), &RegionalMapping::default()).await;
    entry.expect("a category").category.slug
}

fn reason<T: std::fmt::Debug>(result: Result<T, Error>) -> &'static str {
    result.expect_err("refused").reason()
}

#[tokio::test]
async fn a_tenant_is_unique_and_so_is_its_location() {
    let store = store_with(&["a"]).await;
    let organization = OrganizationId::parse("chain").expect("an id");
    let b = Tenant { organization: Some(organization.clone()), ..tenant("b") };
    let stored = store.insert_tenant(at(7), &b).await.expect("a tenant");
    assert_eq!(stored, Tenant { created_at: time(7), updated_at: time(7), ..b.clone() });

    assert_eq!(
        reason(store.insert_tenant(at(8), &Tenant { location: b.location.clone(), ..tenant("a") }).await),
        "TENANT_ALREADY_EXISTS"
    );
    let error = store.insert_tenant(at(8), &Tenant { location: b.location.clone(), ..tenant("c") }).await;
    assert_eq!(error.expect_err("taken").to_string(), "locations/at-b belongs to another tenant");
    let place = TenantChange {
        account_and_location: Some(b.account.clone().zip(b.location.clone())),
        ..TenantChange::default()
    };
    assert_eq!(reason(store.update_tenant(at(8), &id("a"), &place).await), "LOCATION_TAKEN");
    assert_eq!(reason(store.update_tenant(at(8), &id("c"), &place).await), "TENANT_NOT_FOUND");
    assert_eq!(reason(store.tenant(&id("c")).await), "TENANT_NOT_FOUND");

    let of_chain = store.tenants(Some(&organization), None, "", 10).await.expect("listed");
    assert_eq!(of_chain, [stored]);
    let ids = async |only: Option<&[_]>, after: &str, limit| -> Vec<String> {
        let tenants = store.tenants(None, only, after, limit).await.expect("listed");
        tenants.iter().map(|tenant| tenant.id.to_string()).collect()
    };
    assert_eq!(ids(None, "", 10).await, ["a", "b"]);
    assert_eq!(ids(None, "a", 10).await, ["b"]);
    assert_eq!(ids(None, "", 1).await, ["a"]);
    assert_eq!(ids(Some(&[id("b"), id("z")]), "", 10).await, ["b"]);
    assert!(ids(Some(&[]), "", 10).await.is_empty());
}

#[tokio::test]
async fn an_update_leaves_alone_what_it_does_not_name() {
    let store = store_with(&["a"]).await;
    let before = store.tenant(&id("a")).await.expect("there");
    let rename = TenantChange { display_name: Some("Corner Shop".to_owned()), ..TenantChange::default() };
    let renamed = store.update_tenant(at(9), &id("a"), &rename).await.expect("changed");
    assert_eq!(renamed, Tenant { display_name: "Corner Shop".to_owned(), updated_at: time(9), ..before });
    let leave = TenantChange { account_and_location: Some(None), organization: Some(None), ..TenantChange::default() };
    let homeless = store.update_tenant(at(9), &id("a"), &leave).await.expect("changed");
    assert_eq!((homeless.account, homeless.location, homeless.display_name), (None, None, renamed.display_name));
}

#[tokio::test]
async fn a_tenant_with_a_live_run_stays_and_history_outlives_it() {
    let store = store_with(&["a"]).await;
    let run = store.accepted(0, "a").await.id;
    assert_eq!(reason(store.delete_tenant(&id("a")).await), "RUN_IN_PROGRESS");
    store.cancel(at(1), run).await.expect("cancelled");
    store.delete_tenant(&id("a")).await.expect("deleted");
    assert_eq!(reason(store.delete_tenant(&id("a")).await), "TENANT_NOT_FOUND");
    assert_eq!(store.get(run).await.tenant, id("a"));
    assert_eq!(reason(store.accept(at(2), &new_run("a", super::REAL)).await), "TENANT_NOT_FOUND");
}

#[tokio::test]
async fn a_tenants_categories_are_replaced_whole_or_not_at_all() {
    let store = store_with(&["a"]).await;
    let [bar, cafe, deli] =
        [category(&store, "bar").await, category(&store, "cafe").await, category(&store, "deli").await];
    let none = store.tenant_categories(&id("a")).await.expect("read");
    assert_eq!((none.primary, none.updated_at), (None, None));

    let set = [deli.clone(), bar.clone(), cafe.clone()];
    assert_eq!(store.set_tenant_categories(at(3), &id("a"), &set).await.expect("set"), []);
    let unknown = [cafe.clone(), slug("pub"), slug("zoo")];
    assert_eq!(store.set_tenant_categories(at(4), &id("a"), &unknown).await.expect("answered"), unknown[1..]);
    assert_eq!(reason(store.set_tenant_categories(at(4), &id("z"), &set).await), "TENANT_NOT_FOUND");
    assert_eq!(reason(store.tenant_categories(&id("z")).await), "TENANT_NOT_FOUND");

    let kept = store.tenant_categories(&id("a")).await.expect("read");
    assert_eq!((kept.primary, kept.additional), (Some(deli), vec![bar, cafe]), "in the order given");
    assert_eq!(kept.updated_at, Some(time(3)));
    let source = store.source(5, &store.accepted(5, "a").await).await;
    let slugs: Vec<&str> = source.categories.get().iter().map(|category| category.slug.as_str()).collect();
    assert_eq!(slugs, ["deli", "bar", "cafe"]);
    assert_eq!(source.read_at, time(5));
}

#[tokio::test]
async fn a_platform_category_is_unique_and_stays_while_it_is_used() {
    let store = store_with(&["a"]).await;
    let cafe = category(&store, "cafe").await;
    assert_eq!(
        reason(store.insert_platform_category(at(1), &cafe, "Again", None, &RegionalMapping::default()).await),
        "PLATFORM_CATEGORY_ALREADY_EXISTS"
    );
    store.set_tenant_categories(at(1), &id("a"), std::slice::from_ref(&cafe)).await.expect("set");
    let in_use = store.delete_platform_category(&cafe).await.expect_err("in use");
    assert_eq!(in_use.to_string(), "platformCategories/cafe is in use by 1 tenants");

    let unmap = PlatformCategoryChange { gcid: Some(None), ..PlatformCategoryChange::default() };
    let unmapped = store.update_platform_category(at(2), &cafe, &unmap).await.expect("changed").category;
    assert_eq!((unmapped.gcid, unmapped.display_name.as_str(), unmapped.updated_at), (None, "cafe", time(2)));
    category(&store, "bar").await;
    let list = async |unmapped_only, after: &str| -> Vec<String> {
        let listed = store.platform_categories(unmapped_only, after, 10).await.expect("listed");
        listed.iter().map(|entry| entry.category.slug.to_string()).collect()
    };
    assert_eq!(list(false, "").await, ["bar", "cafe"]);
    assert_eq!(list(false, "bar").await, ["cafe"]);
    assert_eq!(list(true, "").await, ["cafe"]);

    store.delete_tenant(&id("a")).await.expect("deleted");
    store.delete_platform_category(&cafe).await.expect("free");
    assert_eq!(reason(store.delete_platform_category(&cafe).await), "PLATFORM_CATEGORY_NOT_FOUND");
    assert_eq!(reason(store.platform_category(&cafe).await), "PLATFORM_CATEGORY_NOT_FOUND");
    assert_eq!(reason(store.update_platform_category(at(3), &cafe, &unmap).await), "PLATFORM_CATEGORY_NOT_FOUND");
}

#[tokio::test]
async fn replacements_at_once_do_not_mix() {
    let store = store_with(&["a"]).await;
    let [bar, cafe] = [category(&store, "bar").await, category(&store, "cafe").await];
    let tenant = id("a");
    for _ in 0..10 {
        let (one, other) = ([bar.clone(), cafe.clone()], [cafe.clone(), bar.clone()]);
        let (first, second) = tokio::join!(
            store.set_tenant_categories(at(1), &tenant, &one),
            store.set_tenant_categories(at(1), &tenant, &other),
        );
        first.expect("set");
        second.expect("set");
        let now = store.tenant_categories(&id("a")).await.expect("read");
        assert_ne!(now.primary.as_ref(), now.additional.first());
        assert_eq!(now.additional.len(), 1);
    }
}
