//! Finding categories, and suggestions for what is unmapped.

use std::collections::BTreeSet;

use category_mirror_client::{Code, Error};
use category_mirror_proto::v1;

use super::{ALL, slugs};
use crate::{
    service,
    wire::{Wire, refusal},
};

#[tokio::test]
async fn beginnings_come_first_and_then_what_is_alike() {
    let service = service::start().await;
    service.refresh().await;
    service.client.refresh_taxonomy("IN", "en").send().await.expect("imported");

    let found = service.search("groc").await;
    assert_eq!(slugs(&found)[0], "grocery_store", "{found:?}");
    let found = service.search("GROCERY STORE").await;
    assert_eq!((slugs(&found)[0], found[0].score), ("grocery_store", 1.0), "whatever the case");
    let found = service.search("grocry stroe").await;
    assert_eq!(slugs(&found)[0], "grocery_store", "a typing error: {found:?}");
    assert!(found[0].score > 0.3 && found[0].score < 1.0, "{found:?}");
    let found = service.search("butcher").await;
    assert_eq!(slugs(&found)[0], "butcher_shop", "a word of the name");
    for query in ["gcid:butcher_s", "categories/gcid:butcher_shop"] {
        assert_eq!(slugs(&service.search(query).await)[0], "butcher_shop", "{query}");
    }
    let found = service.client.search_categories("Chicken & Mutton", "IN", "en").send().collect().await.expect("found");
    assert_eq!(found[0].category.to_string(), "gcid:butcher_shop (Chicken & Mutton Shop)", "its name in India");

    // Every character means itself.
    for query in ["%", "_", "\\", "gcid:%", "'; drop table taxonomy_category; --", "xqzzxq"] {
        assert_eq!(slugs(&service.search(query).await), [""; 0], "{query}");
    }
    let beginnings = service.search("bar").await;
    let begins =
        |it: &category_mirror_client::CategoryMatch| it.category.display_name.to_lowercase().starts_with("bar");
    let first_other = beginnings.iter().position(|it| !begins(it)).unwrap_or(beginnings.len());
    assert!(first_other > 0 && !beginnings[first_other..].iter().any(begins), "{beginnings:?}");
    assert!(beginnings[..first_other].is_sorted_by(|a, b| a.score >= b.score));
}

#[tokio::test]
async fn the_whole_list_is_in_a_stable_order_and_a_token_ends_with_its_version() {
    let service = service::start().await;
    service.refresh().await;
    let all = async |page| {
        service.client.search_categories("", "US", "en").page_size(page).send().collect().await.expect("all")
    };
    let (by_seven, at_once) = (all(7).await, all(1000).await);
    assert_eq!(by_seven, at_once, "the size of the pages changes nothing");
    let distinct: BTreeSet<_> = slugs(&at_once).into_iter().collect();
    assert_eq!(distinct.len(), usize::try_from(ALL).expect("positive"));
    let names: Vec<String> = at_once.iter().map(|it| it.category.display_name.to_lowercase()).collect();
    let (atm, zoo) = (names.iter().position(|n| n == "atm"), names.iter().position(|n| n == "zoo"));
    assert!(atm < zoo, "by name");

    let mut wire = Wire::admin(&service).categories;
    let ask = |token: &str| v1::SearchCategoriesRequest {
        query: "store".to_owned(),
        region_code: "US".to_owned(),
        language_code: "en".to_owned(),
        page_size: 1,
        page_token: token.to_owned(),
    };
    let first = wire.search_categories(ask("")).await.expect("found").into_inner();
    assert_eq!(first.version, 1);
    wire.search_categories(ask(&first.next_page_token)).await.expect("the next page");
    service.google_changes(&["gcid:deli"], &[], &[]).await;
    service.refresh().await;
    let stale = refusal(wire.search_categories(ask(&first.next_page_token)).await);
    assert_eq!(stale.reason, "INVALID_PAGE_TOKEN", "positions in another version mean something else");
}

#[tokio::test]
async fn without_a_list_there_is_nothing_to_search() {
    let service = service::start().await;
    service.refresh().await;
    let is_missing = |error: &Error| (error.code(), error.reason().map(str::to_owned));
    let wanted = (Code::NotFound, Some("TAXONOMY_NOT_FOUND".to_owned()));
    let error = service.client.search_categories("a", "DE", "de").send().collect().await.expect_err("none");
    assert_eq!(is_missing(&error), wanted);
    assert!(error.message().contains("DE/de"), "{error}");
    let error = service.client.list_mapping_suggestions("US", "es").send().collect().await.expect_err("none");
    assert_eq!(is_missing(&error), wanted);

    let mut wire = Wire::admin(&service).categories;
    let query = "x".repeat(201);
    let wrong = v1::SearchCategoriesRequest { query, page_size: -1, ..Default::default() };
    let refused = refusal(wire.search_categories(wrong).await);
    assert_eq!(refused.fields, ["region_code", "language_code", "query", "page_size"]);
    let wrong = v1::ListMappingSuggestionsRequest { match_count: 11, ..Default::default() };
    let refused = refusal(wire.list_mapping_suggestions(wrong).await);
    assert_eq!(refused.fields, ["region_code", "language_code", "match_count"]);
}

#[tokio::test]
async fn what_needs_a_decision_comes_with_suggestions_and_none_is_taken_over() {
    let service = service::start().await;
    for (slug, name, gcid) in [
        ("bakery", "Bakery", "gcid:bakery"),
        ("deli", "Deli", "gcid:deli"),
        ("groceries", "Groceries", ""),
        ("nothing", "Qxzzq", ""),
        ("own", "Zoo", ""),
    ] {
        let create = service.client.create_platform_category(slug).display_name(name);
        let create = if gcid.is_empty() { create } else { create.gbp_category(gcid) };
        create.send().await.expect("created");
    }
    let own = service.client.update_platform_category("own").regional_gbp_categories([("US", "gcid:zoo")]);
    own.send().await.expect("mapped in one region");
    service.refresh().await;
    service.client.refresh_taxonomy("IN", "en").send().await.expect("imported");
    service.google_changes(&["gcid:deli"], &[], &[]).await;
    service.refresh().await;

    let list = service.client.list_mapping_suggestions("US", "en").match_count(2).page_size(1).send();
    let list = list.collect().await.expect("listed");
    let shown: Vec<_> = list.iter().map(|it| (it.display_name.as_str(), it.gbp_category.as_deref())).collect();
    assert_eq!(shown, [("Deli", Some("categories/gcid:deli")), ("Groceries", None), ("Qxzzq", None)]);
    assert_eq!(slugs(&list[1].matches)[0], "grocery_store", "{:?}", list[1]);
    assert!(list.iter().all(|it| it.matches.len() <= 2) && list[2].matches.is_empty());
    let there = service.client.list_mapping_suggestions("IN", "en").send().collect().await.expect("listed");
    let there: Vec<_> = there.iter().map(|it| it.display_name.as_str()).collect();
    assert_eq!(there, ["Groceries", "Qxzzq", "Zoo"], "there deli is still listed, and the zoo unmapped");

    let unmapped =
        service.client.list_platform_categories().unmapped_only(true).send().collect().await.expect("listed");
    let unmapped: Vec<_> = unmapped.iter().map(|it| it.display_name.as_str()).collect();
    assert_eq!(unmapped, ["Groceries", "Qxzzq"], "nothing was mapped by itself");
}

/// The index in memory computes what `pg_trgm` does, which the statements of earlier versions asked for.
#[tokio::test]
async fn the_index_finds_what_trigrams_of_the_database_find() {
    let service = service::start().await;
    service.refresh().await;
    let long = "store ".repeat(33);
    for query in [
        "groc",
        "grocry stroe",
        "store",
        "STORE",
        "bar",
        "butcher",
        "rest",
        "coffee & tea",
        "a",
        "zz",
        "the bar of the bar",
        "hotel hotel",
        "gcid:butcher_s",
        "american restaurant in the",
        "auto repair shop",
        "no such thing",
        "50%",
        "-",
        long.trim_end(),
    ] {
        let mut wanted: Vec<(String, f32)> = sqlx::query_as(
            "select gcid, ((similarity(display_name, $1) + word_similarity($1, display_name)) / 2)::real
               from taxonomy_category
              where until_version is null
                and (starts_with(lower(display_name), lower($1)) or ($1 like 'gcid:_%' and starts_with(gcid, $1))
                      or display_name % $1 or $1 <% display_name)
              order by gcid",
        )
        .bind(query)
        .fetch_all(&service.pool)
        .await
        .expect("found");
        let mut found: Vec<(String, f32)> = service
            .search(query)
            .await
            .into_iter()
            .map(|it| (it.category.name.trim_start_matches("categories/").to_owned(), it.score))
            .collect();
        found.sort_by(|one, other| one.0.cmp(&other.0));
        wanted.sort_by(|one, other| one.0.cmp(&other.0));
        assert_eq!(
            found.iter().map(|it| &it.0).collect::<Vec<_>>(),
            wanted.iter().map(|it| &it.0).collect::<Vec<_>>(),
            "{query}"
        );
        for ((gcid, score), (_, wanted)) in found.iter().zip(&wanted) {
            assert!((score - wanted).abs() < 1e-5, "{query}: {gcid} {score} {wanted}");
        }
    }
}
