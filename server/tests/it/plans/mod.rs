//! Plans as things: made from complete reads, guarded, kept, applied as they are or not at all, and taken back; in both directions.

mod guards;
mod kept;
mod mappings;
mod reverse;
mod revert;
mod round_trip;

use category_mirror::domain::GuardLimits;
use category_mirror_client::{GbpView, Mirror, Run, Strategy};

use crate::service::{self, Service, Setup};

/// A service with the guards that the contract has.
async fn guarded() -> Service {
    guarded_by(GuardLimits::default()).await
}

/// A service with these guards.
async fn guarded_by(guards: GuardLimits) -> Service {
    service::start_with(guards_of(Setup::default(), guards)).await
}

fn guards_of(mut setup: Setup, guards: GuardLimits) -> Setup {
    setup.runner.guards = guards;
    setup
}

impl Service {
    /// Runs to its end what a request asks for.
    async fn end_of(&self, request: Mirror) -> Run {
        let mirrored = request.send().await.expect("accepted");
        self.ended(&mirrored.run.name).await
    }

    /// Runs `gbp_to_platform` for `store`, to its end.
    async fn adopt(&self, dry_run: bool) -> Run {
        self.end_of(self.client.mirror("store", Strategy::GbpToPlatform).dry_run(dry_run)).await
    }

    async fn adopt_view(&self, view: GbpView) -> Run {
        self.end_of(self.client.mirror("store", Strategy::GbpToPlatform).view(view)).await
    }

    /// Applies the plan of a dry run of `store`.
    async fn apply(&self, dry_run: &Run) -> Run {
        self.end_of(self.client.mirror("store", dry_run.strategy).plan(&dry_run.name)).await
    }

    /// Takes a run back, to the end of the run that does.
    async fn taken_back(&self, run: &Run) -> Run {
        let mirrored = self.client.revert_run(&run.name).send().await.expect("accepted");
        self.ended(&mirrored.run.name).await
    }

    /// The slugs that `store` has, the primary one first.
    async fn platform(&self) -> Vec<String> {
        let set = self.client.get_tenant_categories("store").send().await.expect("categories");
        let slugs = set.primary.into_iter().chain(set.additional);
        slugs.map(|name| name.trim_start_matches("platformCategories/").to_owned()).collect()
    }
}

fn reason(run: &Run) -> &str {
    run.reason.as_deref().unwrap_or_default()
}

fn counts(run: &Run) -> (i32, i32, i32) {
    (run.counts.created, run.counts.updated, run.counts.deleted)
}
