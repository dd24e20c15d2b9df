//! How many tenants are out of sync, in the statistics and in the metrics.

use category_mirror_client::{SyncCause, SyncStats};
use serde_json::json;

use super::Service;
use crate::service;

/// Tenants of three kinds: `same` in sync, `late` out of sync, and `lost`, whose location cannot be read.
async fn three() -> Service {
    let service = service::start().await;
    service.categories(&[("cafe", "gcid:cafe"), ("deli", "gcid:deli")]).await;
    for (tenant, location, primary) in [("same", "1", "cafe"), ("late", "2", "deli"), ("lost", "3", "cafe")] {
        service.google.put(location, primary, &[]).await;
        service.tenant(tenant, location).await;
        service.set(tenant, &["cafe"]).await;
    }
    service.google.fault(json!({"method": "locations.get", "location": "3", "status": 403})).await;
    for tenant in ["same", "late", "lost"] {
        service.client.update_tenant(tenant).organization("chain").send().await.expect("updated");
        for _ in 0..3 {
            service.mirror(tenant, true).await;
        }
    }
    service
}

#[tokio::test]
async fn d17_tenants_out_of_sync_now_are_counted_apart_from_runs_that_found_differences() {
    let service = three().await;
    let stats = async || -> SyncStats { service.client.get_sync_stats().send().await.expect("stats") };

    let now = stats().await;
    assert_eq!((now.out_of_sync_tenants, now.out_of_sync_runs), (1, 3), "one tenant, which three runs have found");
    for (tenant, expected) in [("same", 0), ("late", 1), ("lost", 0)] {
        let one = service.client.get_sync_stats().tenant(tenant).send().await.expect("stats");
        assert_eq!(one.out_of_sync_tenants, expected, "{tenant}");
    }
    let chain = async |name: &str| {
        let stats = service.client.get_sync_stats().organization(name).send().await.expect("stats");
        stats.out_of_sync_tenants
    };
    assert_eq!(chain("chain").await, 1);
    let limited =
        service.client_with(&service.token(category_mirror::domain::Role::Viewer, "v", Some(&["same", "lost"])));
    assert_eq!(limited.get_sync_stats().send().await.expect("stats").out_of_sync_tenants, 0);

    service.client.update_tenant("late").organization("other").send().await.expect("updated");
    assert_eq!((chain("chain").await, chain("other").await), (0, 1), "it goes with its tenant");
    service.mirror("late", false).await;
    let now = stats().await;
    assert_eq!((now.out_of_sync_tenants, now.out_of_sync_runs), (0, 4));
    assert_eq!(service.of_cause(SyncCause::NotKnown).await, ["tenants/lost"], "which is neither in sync nor out of it");
}
