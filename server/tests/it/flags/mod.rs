//! Feature flags: who is refused or skipped by which, and how fast everybody hears of a change.

mod changes;
mod everywhere;
mod flood;
mod rollout;

use std::time::Duration;

use category_mirror::domain::ProcessFlags;
use category_mirror_client::{Client, Error, FlagEvaluation, FlagState, RunState, Strategy};
use serde_json::json;

use super::{
    replica::{Replica, idle, replica},
    service::{self, Service, Setup},
    wire::contents,
};

pub(crate) const MIRRORING: &str = "FF_CATEGORY_MIRRORING";
pub(crate) const CATEGORIES: &str = "FF_TENANT_PLATFORM_CATEGORY";
pub(crate) const SYNC: &str = "FF_TENANT_GBP_CATEGORY_SYNC";

/// A server beside the test's own on which something is off.
async fn without(service: &Service, off: impl FnOnce(&mut ProcessFlags)) -> Replica {
    let mut setup = Setup::default();
    off(&mut setup.flags);
    replica(service, setup, &service.google.endpoint).await
}

fn flag(error: &Error) -> &str {
    assert_eq!((error.code().as_str(), error.reason()), ("FAILED_PRECONDITION", Some("FEATURE_DISABLED")));
    &error.metadata()["flag"]
}

pub(crate) async fn switch(client: &Client, flag: &str, state: FlagState) {
    client.update_flag(flag).state(state).send().await.expect("switched");
}

pub(crate) async fn evaluated(client: &Client, flag: &str, tenant: &str) -> FlagEvaluation {
    client.evaluate_flag(flag, tenant).send().await.expect("evaluated")
}

/// Looks again and again until it is so: for what tells nobody when it happens.
pub(crate) async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let look = async {
        let mut again = tokio::time::interval(Duration::from_millis(10));
        while !is_so().await {
            again.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(180), look).await.unwrap_or_else(|_| panic!("waited in vain: {what}"));
}

#[tokio::test]
async fn without_mirroring_no_run_is_accepted() {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe"], "bar", &[]).await;
    let off = without(&service, |flags| flags.category_mirroring = Some(false)).await.client;
    let before = contents(&service.pool).await;

    for dry_run in [true, false] {
        let request = off.mirror("store", Strategy::PlatformToGbp).dry_run(dry_run).request_id("id");
        assert_eq!(flag(&request.send().await.expect_err("off")), MIRRORING);
    }
    assert_eq!(contents(&service.pool).await, before);
    off.list_sync_logs().send().collect().await.expect("what was is still shown");
}

#[tokio::test]
async fn without_tenant_categories_none_are_changed() {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe"], "bar", &[]).await;
    let off = without(&service, |flags| flags.tenant_platform_category = Some(false)).await.client;
    let before = contents(&service.pool).await;

    let error = off.set_tenant_categories("store", "bar").send().await.expect_err("off");
    assert_eq!(flag(&error), CATEGORIES);
    assert_eq!(contents(&service.pool).await, before);
    let set = off.get_tenant_categories("store").send().await.expect("still shown");
    assert_eq!(set.primary.as_deref(), Some("platformCategories/cafe"));
}

#[tokio::test]
async fn without_the_worker_runs_are_skipped() {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe"], "bar", &[]).await;
    without(&service, |flags| flags.tenant_gbp_category_sync = Some(false)).await;

    for dry_run in [true, false] {
        let run = service.mirror("store", dry_run).await;
        assert_eq!((run.state, run.reason.as_deref()), (RunState::Skipped, Some("FEATURE_DISABLED")));
        let error = run.error.expect("it says why");
        assert_eq!((error.reason.as_str(), error.metadata["flag"].as_str()), ("FEATURE_DISABLED", SYNC));
        assert!(error.message.contains("environment"), "{}", error.message);
    }
    assert_eq!(service.google.calls().await, json!({"writes": []}));
    let stats = service.client.get_sync_stats().send().await.expect("stats");
    assert_eq!((stats.skipped_runs, stats.dry_runs, stats.success_rate_percent), (1, 1, None));
}

#[tokio::test]
async fn a_flag_that_nobody_has_set_is_off() {
    let mut setup = idle();
    setup.flags = ProcessFlags::default();
    let service = service::start_with(setup).await;
    service.categories(&[("cafe", "gcid:cafe")]).await;
    service.tenant("store", "77").await;

    let error = service.client.mirror("store", Strategy::PlatformToGbp).send().await.expect_err("off");
    assert_eq!((flag(&error), error.metadata()["flag_reason"].as_str()), (MIRRORING, "NEVER_SET"));
    let error = service.client.set_tenant_categories("store", "cafe").send().await.expect_err("off");
    assert_eq!(flag(&error), CATEGORIES);
    for name in [MIRRORING, CATEGORIES, SYNC] {
        assert!(!evaluated(&service.client, name, "store").await.enabled, "{name}");
    }

    switch(&service.client, CATEGORIES, FlagState::On).await;
    service.client.set_tenant_categories("store", "cafe").send().await.expect("on at once where it was switched");
}
