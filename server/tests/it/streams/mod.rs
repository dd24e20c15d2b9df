//! Streams: whole snapshots, in order, to the last one, whatever becomes of the hints on the way.

mod cuts;
mod losses;
mod snapshots;

use std::time::Duration;

use category_mirror::{
    domain::{RunId, RunResult},
    runner::RunnerConfig,
    store::{AttemptProgress, ClaimLimits, ClaimedRun, Finish, LeaseKey, Store},
    wake::{WakeUp, WakeUpBus},
};
use category_mirror_client::{Items, Run, Strategy};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::service::{self, Service, Setup};

const LEASE: Duration = Duration::from_secs(60);
/// Nothing takes so long: what does is lost.
const WAIT_TIMEOUT: Duration = Duration::from_secs(180);

/// A service that carries nothing out. The test makes the changes, as another server would, and decides who hears of them.
struct Quiet {
    service: Service,
    store: Store,
    elsewhere: WakeUpBus,
    _stop: DropGuard,
}

async fn quiet(tenants: &[&str]) -> Quiet {
    quiet_with(tenants, Setup::default()).await
}

async fn quiet_with(tenants: &[&str], setup: Setup) -> Quiet {
    let idle = RunnerConfig { concurrency: 0, ..setup.runner };
    let service = service::start_with(Setup { runner: idle, ..setup }).await;
    for tenant in tenants {
        service.tenant(tenant, &format!("at-{tenant}")).await;
    }
    let stop = CancellationToken::new();
    let elsewhere = WakeUpBus::start(service.pool.clone(), stop.clone());
    Quiet { store: Store::new(service.pool.clone()), elsewhere, service, _stop: stop.drop_guard() }
}

impl Quiet {
    /// Accepts a run; its name.
    async fn accepted(&self, tenant: &str) -> String {
        let mirrored = self.service.client.mirror(tenant, Strategy::PlatformToGbp).send().await;
        mirrored.expect("accepted").run.name
    }

    /// Claims the one run that is queued.
    async fn claimed(&self) -> ClaimedRun {
        let mut claimed = self.store.claim(None, ClaimLimits::of(10), LEASE).await.expect("claimed");
        assert_eq!(claimed.len(), 1);
        claimed.remove(0)
    }

    /// Changes a live run, so that its revision grows.
    async fn touch(&self, run: RunId) {
        self.store.cancel(None, run).await.expect("changed").expect("live");
    }

    async fn finish(&self, claimed: &ClaimedRun) {
        let held = LeaseKey { id: claimed.run.id, fencing_token: claimed.fencing_token };
        let end = Finish {
            held,
            attempt: 1,
            result: RunResult::Succeeded,
            progress: AttemptProgress::default(),
            location: None,
            observation: None,
        };
        assert!(self.store.finish(None, &[end]).await.expect("finished").contains(&held.id));
    }

    fn tell(&self, run: RunId) {
        self.elsewhere.send(WakeUp::RunsChanged([run].into()));
    }
}

async fn next(stream: &mut Items<Run>) -> Option<Run> {
    timeout(WAIT_TIMEOUT, stream.next()).await.expect("in time").transpose().expect("a snapshot")
}

async fn some(stream: &mut Items<Run>) -> Run {
    next(stream).await.expect("not the end")
}
