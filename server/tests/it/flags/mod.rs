//! Features that are switched off: refused, or skipped, by name.

use category_mirror::app::Flags;
use category_mirror_client::{Error, RunState, Strategy};
use serde_json::json;

use super::{
    replica::{Replica, idle, replica},
    service::{self, Service, Setup},
    wire::contents,
};

/// A server beside the test's own on which something is off.
async fn without(service: &Service, off: impl FnOnce(&mut Flags)) -> Replica {
    let mut setup = Setup::default();
    off(&mut setup.flags);
    replica(service, setup, &service.google.endpoint).await
}

fn flag(error: &Error) -> &str {
    assert_eq!((error.code().as_str(), error.reason()), ("FAILED_PRECONDITION", Some("FEATURE_DISABLED")));
    &error.metadata()["flag"]
}

#[tokio::test]
async fn without_mirroring_no_run_is_accepted() {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe"], "bar", &[]).await;
    let off = without(&service, |flags| flags.category_mirroring = false).await.client;
    let before = contents(&service.pool).await;

    for dry_run in [true, false] {
        let request = off.mirror("store", Strategy::PlatformToGbp).dry_run(dry_run).request_id("id");
        assert_eq!(flag(&request.send().await.expect_err("off")), "FF_CATEGORY_MIRRORING");
    }
    assert_eq!(contents(&service.pool).await, before);
    off.list_sync_logs().send().collect().await.expect("what was is still shown");
}

#[tokio::test]
async fn without_tenant_categories_none_are_changed() {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe"], "bar", &[]).await;
    let off = without(&service, |flags| flags.tenant_platform_category = false).await.client;
    let before = contents(&service.pool).await;

    let error = off.set_tenant_categories("store", "bar").send().await.expect_err("off");
    assert_eq!(flag(&error), "FF_TENANT_PLATFORM_CATEGORY");
    assert_eq!(contents(&service.pool).await, before);
    let set = off.get_tenant_categories("store").send().await.expect("still shown");
    assert_eq!(set.primary.as_deref(), Some("platformCategories/cafe"));
}

#[tokio::test]
async fn without_the_worker_runs_are_skipped() {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe"], "bar", &[]).await;
    without(&service, |flags| flags.tenant_gbp_category_sync = false).await;

    for dry_run in [true, false] {
        let run = service.mirror("store", dry_run).await;
        assert_eq!((run.state, run.reason.as_deref()), (RunState::Skipped, Some("FEATURE_DISABLED")));
    }
    assert_eq!(service.google.calls().await, json!({"writes": []}));
    let stats = service.client.get_sync_stats().send().await.expect("stats");
    assert_eq!((stats.skipped_runs, stats.dry_runs, stats.success_rate_percent), (1, 1, None));
}
