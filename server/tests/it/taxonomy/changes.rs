//! What a list changes, whom that concerns, and that every version is kept.

use category_mirror::{
    domain::{
        CompleteTaxonomy, GbpCategory, Gcid, LanguageCode, Locale, RegionCode, TaxonomyPage, TaxonomyPages,
        TaxonomyRead,
    },
    error::Error,
    store::{NewTaxonomy, Store},
};
use category_mirror_client::MappingEffect;

use super::ALL;
use crate::{
    database, service,
    wire::{Wire, contents, refusal},
};

fn locale() -> Locale {
    let (region, language) = (RegionCode::parse("US"), LanguageCode::parse("en"));
    Locale { region: region.expect("valid"), language: language.expect("valid") }
}

fn gcid(slug: &str) -> Gcid {
    Gcid::parse(&format!("gcid:{slug}")).expect("valid")
}

#[tokio::test]
async fn an_import_tells_what_is_different_and_whom_it_concerns() {
    let service = service::start().await;
    service.with_store(&["cafe", "deli", "bar"], "cafe", &[]).await;
    service.tenant("other", "78").await;
    service.set("other", &["cafe", "bakery"]).await;
    let abroad = service.client.create_tenant("abroad").display_name("Abroad").region_code("IN").language_code("en");
    abroad.send().await.expect("created");
    service.set("abroad", &["deli"]).await;

    let first = service.refresh().await;
    assert_eq!((first.added_count, first.version.version, first.version.category_count), (ALL, 1, ALL));
    assert_eq!(
        (first.added.len(), first.version.caller.as_str()),
        (100, "tester"),
        "the list is bounded, the count is not"
    );
    assert_eq!((first.affected_mapping_count, first.affected_tenant_count), (0, 0));

    service.google_changes(&["gcid:deli"], &[("gcid:bar", "Taproom")], &[("gcid:moon_base", "Moon base")]).await;
    let second = service.refresh().await;
    assert_eq!(second.version.version, 2);
    let named = |list: &[category_mirror_client::GbpCategory]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(named(&second.added), ["gcid:moon_base (Moon base)"]);
    assert_eq!(named(&second.retired), ["gcid:deli (Deli)"]);
    let renamed = &second.renamed[0];
    assert_eq!(
        (renamed.category.to_string().as_str(), renamed.previous_display_name.as_str()),
        ("gcid:bar (Taproom)", "Bar")
    );
    let affected: Vec<_> = second
        .affected_mappings
        .iter()
        .map(|it| (it.platform_category.as_str(), it.gbp_category.as_str(), it.effect, it.tenant_count))
        .collect();
    assert_eq!(
        affected,
        [
            ("platformCategories/bar", "categories/gcid:bar", MappingEffect::Renamed, 1),
            ("platformCategories/deli", "categories/gcid:deli", MappingEffect::Retired, 1),
        ],
        "the tenant in India is another region's"
    );
    assert_eq!(
        (second.affected_tenant_count, second.affected_tenants.as_slice()),
        (1, &["tenants/store".to_owned()][..])
    );

    let third = service.refresh().await;
    assert_eq!((third.version.version, third.retired_count), (2, 0), "the same list is no new version");
    assert_eq!(third.affected_mapping_count, 1, "what is retired still is, and what was renamed is so no more");

    let versions = service.client.list_taxonomy_versions().page_size(1).send().collect().await.expect("listed");
    let versions: Vec<_> =
        versions.iter().map(|it| (it.version, it.added_count, it.renamed_count, it.retired_count)).collect();
    assert_eq!(versions, [(2, 1, 1, 1), (1, ALL, 0, 0)]);
    let kept = sqlx::query_scalar::<_, i64>(
        "select count(*) from taxonomy_category where since_version <= 1 and (until_version is null or until_version > 1)",
    );
    let kept = kept.fetch_one(&service.pool).await.expect("read");
    assert_eq!(kept, i64::from(ALL), "the first version is still all there");
}

/// A complete list, as only a last page makes one.
fn list(slugs: &[&str]) -> CompleteTaxonomy {
    let categories = slugs.iter().map(|slug| GbpCategory::new(gcid(slug), *slug)).collect();
    match TaxonomyPages::default().with(TaxonomyPage { categories, next: None }) {
        Ok(TaxonomyRead::Complete(list)) => list,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn of_two_imports_at_once_one_is_taken_and_the_other_changes_nothing() {
    let database = database::create().await;
    let pool = database.pool();
    let (store, locale) = (Store::new(pool.clone()), locale());
    let import = async |list: &CompleteTaxonomy, since| {
        let names = store.taxonomy_names(&locale).await.expect("read");
        let diff = list.diff(&names);
        store.insert_taxonomy(None, &NewTaxonomy { locale: &locale, since, diff: &diff, caller: "a", reason: "" }).await
    };
    let first = list(&["a", "b"]);
    let (one, other) = tokio::join!(import(&first, 0), import(&first, 0));
    let refused = [&one, &other].into_iter().filter_map(|result| result.as_ref().err()).collect::<Vec<_>>();
    assert!(matches!(refused[..], [Error::TaxonomyChanged(_)]), "{one:?} {other:?}");

    let before = contents(&pool).await;
    for since in [0, 2] {
        let late = import(&list(&["b", "c"]), since).await;
        assert!(late.is_err() || since == 2, "{late:?}");
        if since == 0 {
            assert_eq!(contents(&pool).await, before);
        }
    }
    assert!(matches!(store.confirm_taxonomy(None, &locale, 1).await, Err(Error::TaxonomyChanged(_))), "3 is newer");
}

#[tokio::test]
async fn importing_needs_an_administrator_of_everything() {
    use category_mirror::domain::Role;
    use category_mirror_proto::v1;

    let service = service::start().await;
    let request = || v1::RefreshTaxonomyRequest {
        region_code: "US".to_owned(),
        language_code: "en".to_owned(),
        ..Default::default()
    };
    for (role, tenants) in [(Role::Viewer, None), (Role::Admin, Some(&["store"][..]))] {
        let mut wire = Wire::with_token(&service, &service.token(role, "somebody", tenants));
        assert_eq!(refusal(wire.categories.refresh_taxonomy(request()).await).reason, "PERMISSION_DENIED");
        let import = v1::ImportTenantsRequest { tenants: vec![v1::TenantImport::default()], validate_only: true };
        assert_eq!(refusal(wire.tenants.import_tenants(import).await).reason, "PERMISSION_DENIED");
    }
    let mut wire = Wire::admin(&service);
    let wrong =
        v1::RefreshTaxonomyRequest { region_code: "us".to_owned(), reason: "a\nb".to_owned(), ..Default::default() };
    let refused = refusal(wire.categories.refresh_taxonomy(wrong).await);
    assert_eq!(refused.fields, ["region_code", "language_code", "reason"]);
    assert_eq!(service.google.count("categories.list").await, 0, "nobody was asked");
}
