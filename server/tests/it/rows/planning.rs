//! What a run plans, and what it sends of it.

use category_mirror_client::{RunState, Strategy};
use category_mirror_proto::v1;
use serde_json::json;
use tonic::Code;

use crate::{
    replica::{Door, idle, replica},
    service::{self, Service, Setup, categories},
    wire::{Wire, contents, refusal},
};

/// That a dry run cannot write is said by types: it is handed a `gbp::Validator`, and only a `gbp::Writer` has a method that writes.
/// What is left to see is that its validation is one, also where Google objects.
#[tokio::test]
async fn d1_a_dry_run_of_what_google_refuses_shows_the_objections_and_writes_nothing() {
    let service = service::start().await;
    service.with_store(&["cafe"], "bar", &["deli"]).await;
    service.categories(&[("made-up", "gcid:no_category_of_googles")]).await;
    service.set("store", &["cafe", "made-up"]).await;

    let run = service.mirror("store", true).await;

    assert_eq!(run.state, RunState::Succeeded);
    let validation_errors = run.plan.expect("a plan").validation_errors;
    assert_eq!(validation_errors.len(), 1, "{validation_errors:?}");
    assert_eq!(validation_errors[0].reason, "INVALID_CATEGORY");
    assert!(validation_errors[0].message.contains("gcid:no_category_of_googles"), "{validation_errors:?}");
    let calls = service.google.calls().await;
    assert_eq!(calls, json!({"locations.get": 1, "locations.patch.validateOnly": 1, "writes": []}));
}

#[tokio::test]
async fn d4_unmapped_categories_are_reported_and_never_sent() {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe", "yoga", "deli"], "cafe", &["bar"]).await;
    let door = Door::closed(&service.google.endpoint).await;
    door.open();
    let client = replica(&service, Setup::default(), &door.endpoint).await.client;

    let run = client.mirror("store", Strategy::PlatformToGbp).send().await.expect("accepted").run;
    let run = service.ended(&run.name).await;

    assert_eq!((run.state, run.counts.unmapped), (RunState::Succeeded, 1));
    let unmapped = run.plan.expect("a plan").unmapped_categories;
    assert_eq!(unmapped.len(), 1);
    assert_eq!(
        (unmapped[0].platform_category.as_str(), unmapped[0].display_name.as_str()),
        ("platformCategories/yoga", "YOGA")
    );
    assert_eq!(door.updates(), [json!({"categories": categories("cafe", &["deli"])})]);
    assert_eq!(service.google.merchant("77").await, ["cafe", "deli"]);
}

#[tokio::test]
async fn d4_an_unmapped_primary_stops_the_run() {
    let service = service::start().await;
    service.with_store(&["yoga", "cafe"], "bar", &["deli"]).await;

    for dry_run in [true, false] {
        let run = service.mirror("store", dry_run).await;
        assert_eq!((run.state, run.reason.as_deref()), (RunState::Failed, Some("UNMAPPED_PRIMARY")));
        let error = run.error.expect("an error");
        assert_eq!(error.metadata["platform_category"], "platformCategories/yoga");
        assert!(run.written_changes.is_empty());
    }
    assert_eq!(service.google.merchant("77").await, ["bar", "deli"]);
    assert_eq!(service.google.calls().await, json!({"writes": []}));
}

/// Mirrors through a door that sees what is sent, and gives the updates.
async fn updates(slugs: &[&str], primary: &str, additional: &[&str]) -> (Service, Vec<serde_json::Value>) {
    let service = service::start_with(idle()).await;
    service.with_store(slugs, primary, additional).await;
    let door = Door::closed(&service.google.endpoint).await;
    door.open();
    let client = replica(&service, Setup::default(), &door.endpoint).await.client;
    let run = client.mirror("store", Strategy::PlatformToGbp).send().await.expect("accepted").run;
    assert_eq!(service.ended(&run.name).await.state, RunState::Succeeded);
    (service, door.updates())
}

#[tokio::test]
async fn d6_a_change_of_the_primary_keeps_the_additional_categories() {
    let (service, updates) = updates(&["cafe", "bakery", "deli"], "bar", &["bakery", "deli"]).await;
    assert_eq!(updates, [json!({"categories": categories("cafe", &["bakery", "deli"])})]);
    assert_eq!(service.google.merchant("77").await, ["cafe", "bakery", "deli"]);
}

#[tokio::test]
async fn d6_removing_every_additional_category_sends_an_empty_list() {
    let (service, updates) = updates(&["cafe"], "cafe", &["bakery", "deli"]).await;
    let none: [&str; 0] = [];
    let primary = json!({"name": "categories/gcid:cafe"});
    assert_eq!(updates, [json!({"categories": {"primaryCategory": primary, "additionalCategories": none}})]);
    assert_eq!(service.google.merchant("77").await, ["cafe"]);
}

#[tokio::test]
async fn d9_two_spellings_of_a_gcid_are_one_category() {
    let service = service::start().await;
    service.categories(&[("coffee", "categories/gcid:cafe")]).await;
    service.with_store(&["cafe", "coffee"], "bar", &[]).await;

    for slug in ["cafe", "coffee"] {
        let stored = service.client.get_platform_category(slug).send().await.expect("stored");
        assert_eq!(stored.gbp_category.as_deref(), Some("categories/gcid:cafe"));
    }
    let run = service.mirror("store", false).await;
    let merged = run.plan.expect("a plan").merged_categories;
    assert_eq!(
        merged.iter().map(|merged| merged.platform_category.as_str()).collect::<Vec<_>>(),
        ["platformCategories/coffee"]
    );
    assert_eq!(service.google.merchant("77").await, ["cafe"]);
}

#[tokio::test]
async fn d9_a_malformed_gcid_is_refused_and_changes_nothing() {
    let service = service::start().await;
    service.categories(&[("cafe", "gcid:cafe")]).await;
    let mut categories = Wire::admin(&service).categories;
    let before = contents(&service.pool).await;

    for gcid in [
        "gcid:african-grocery-store",
        "categories/gcid:african-grocery-store",
        "grocery_store",
        "GCID:cafe",
        "gcid:Cafe",
        "gcid:",
        "gcid:cafe ",
        " gcid:cafe",
        "gcid:cafe\0",
        "gcid:caf\u{e9}",
        "gcid:\u{430}pple",
        "categories/categories/gcid:cafe",
        "gcid:gcid:cafe",
        "gcid:cafe'; drop table run; --",
        "gcid:cafe?x=1",
        "gcid:../cafe",
        "gcid:%63afe",
    ] {
        let category = |name: &str| v1::PlatformCategory {
            name: format!("platformCategories/{name}"),
            display_name: "Food".to_owned(),
            gbp_category: gcid.to_owned(),
            ..Default::default()
        };
        let request = v1::CreatePlatformCategoryRequest { platform_category: Some(category("new")) };
        let created = refusal(categories.create_platform_category(request).await);
        let request =
            v1::UpdatePlatformCategoryRequest { platform_category: Some(category("cafe")), update_mask: None };
        let updated = refusal(categories.update_platform_category(request).await);
        for refused in [created, updated] {
            assert_eq!((refused.code, refused.reason.as_str()), (Code::InvalidArgument, "INVALID_REQUEST"), "{gcid:?}");
            assert_eq!(refused.fields, ["platform_category.gbp_category"], "{gcid:?}");
        }
    }
    assert_eq!(contents(&service.pool).await, before);

    let behind = "update platform_category set gcid = 'gcid:african-grocery-store'";
    sqlx::raw_sql(behind).execute(&service.pool).await.expect_err("the table refuses it too");
}
