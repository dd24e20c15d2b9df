//! `platform_to_gbp`, from the call to what Google has.

use category_mirror_client::RunState;
use serde_json::json;

use super::service;

#[tokio::test]
async fn a_real_run_writes_the_difference_with_one_patch() {
    let service = service::start().await;
    service.with_store(&["cafe", "bakery"], "cafe", &["bar"]).await;

    let run = service.mirror("store", false).await;

    assert_eq!(run.state, RunState::Succeeded);
    assert_eq!((run.counts.created, run.counts.updated, run.counts.deleted), (1, 0, 1));
    assert_eq!(run.written_changes, run.plan.expect("a plan").changes);
    assert_eq!(service.google.merchant("77").await, ["cafe", "bakery"]);
    assert_eq!(service.google.count("locations.patch").await, 1);
    assert_eq!(run.caller, "tester");
}

#[tokio::test]
async fn a_tenant_in_sync_costs_one_read() {
    let service = service::start().await;
    service.with_store(&["cafe", "bakery"], "cafe", &["bakery"]).await;

    let run = service.mirror("store", false).await;

    assert_eq!(run.state, RunState::Succeeded);
    assert!(run.plan.expect("a plan").is_in_sync());
    assert_eq!(service.google.calls().await, json!({"locations.get": 1, "writes": []}));
}

#[tokio::test]
async fn d1_a_dry_run_writes_to_neither_side() {
    let service = service::start().await;
    service.with_store(&["cafe", "bakery"], "bar", &["deli"]).await;
    let before = service.client.get_tenant_categories("store").send().await.expect("categories");

    let run = service.mirror("store", true).await;

    assert_eq!(run.state, RunState::Succeeded);
    assert!(run.dry_run && run.written_changes.is_empty());
    assert_eq!((run.counts.created, run.counts.updated, run.counts.deleted), (1, 1, 1));
    assert_eq!(service.google.merchant("77").await, ["bar", "deli"]);
    assert_eq!(service.google.writes().await, Vec::<serde_json::Value>::new());
    assert_eq!(service.google.count("locations.patch").await, 0);
    assert_eq!(service.google.count("locations.patch.validateOnly").await, 1);
    assert_eq!(service.client.get_tenant_categories("store").send().await.expect("categories"), before);
}
