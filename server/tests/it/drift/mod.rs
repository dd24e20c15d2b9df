//! Drift with a cause, from what happens on either side to what an operator is told of it.

mod causes;
mod conflicts;
mod counts;
mod decisions;
mod lists;
mod locations;

use category_mirror_client::{CategorySet, Run, RunState, Strategy, SyncCause, TenantSync};

use crate::service::{self, Service};

/// Tenant `store`, left by a real run with `cafe` and `bakery` on both sides.
async fn synced() -> Service {
    let service = service::start().await;
    service.with_store(&["cafe", "bakery"], "bar", &[]).await;
    let run = service.mirror("store", false).await;
    assert_eq!(run.state, RunState::Succeeded, "{run:?}");
    service
}

impl Service {
    /// How `store` stands.
    async fn sync(&self) -> TenantSync {
        self.client.get_tenant_sync("store").send().await.expect("a tenant")
    }

    /// Has a dry run look at `store`.
    async fn look(&self) -> Run {
        let run = self.mirror("store", true).await;
        assert_eq!(run.state, RunState::Succeeded, "{run:?}");
        run
    }

    /// The tenants of a cause.
    async fn of_cause(&self, cause: SyncCause) -> Vec<String> {
        let found = self.client.list_tenant_syncs().cause(cause).send().collect().await.expect("listed");
        found.into_iter().map(|sync| sync.tenant).collect()
    }

    /// Whether `store` has this cause, and no list of another cause has it.
    async fn has_cause(&self, cause: SyncCause) -> TenantSync {
        let sync = self.sync().await;
        assert_eq!(sync.cause, cause, "{sync:?}");
        for other in SyncCause::ALL {
            let found = self.of_cause(other).await;
            assert_eq!(found.contains(&"tenants/store".to_owned()), other == cause, "{other}: {found:?}");
        }
        sync
    }

    /// Runs `gbp_to_platform` for `store`, to its end.
    async fn take_over(&self) -> Run {
        let mirrored = self.client.mirror("store", Strategy::GbpToPlatform).send().await.expect("accepted");
        self.ended(&mirrored.run.name).await
    }
}

/// Bare gcids: the primary one first, the others sorted.
fn slugs(set: Option<&CategorySet>) -> Vec<String> {
    let bare = |name: &str| name.trim_start_matches("categories/gcid:").to_owned();
    let Some(set) = set else { return Vec::new() };
    let mut additional: Vec<String> = set.additional.iter().map(|category| bare(&category.name)).collect();
    additional.sort();
    set.primary.iter().map(|category| bare(&category.name)).chain(additional).collect()
}
