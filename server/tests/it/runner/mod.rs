//! How runs are carried out, by workers that share a database and each have a Google that the test plays.

mod breaking;
mod earlier_writes;
mod ends;
mod google;
mod handing_over;
mod outcomes;
mod switched_off;

use std::time::Duration;

use category_mirror::{
    app::FlagCache,
    runner::{Runner, RunnerConfig},
    store::Store,
    wake::{Topic, WakeUpBus},
};
use category_mirror_client::{Run, Strategy};
use sqlx::AssertSqlSafe;
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use self::google::Google;
use super::service::{self, Service, Setup};

/// Nothing takes so long: what does is lost.
const WAIT_TIMEOUT: Duration = Duration::from_secs(180);

/// A service that carries nothing out, with tenants `tenants` that want `cafe` and `bakery`.
async fn service_for(tenants: &[&str]) -> Service {
    let idle = RunnerConfig { concurrency: 0, ..Setup::default().runner };
    let service = service::start_with(Setup { runner: idle, ..Setup::default() }).await;
    service.categories(&[("cafe", "gcid:cafe"), ("bakery", "gcid:bakery")]).await;
    for tenant in tenants {
        service.tenant(tenant, &format!("at-{tenant}")).await;
        service.set(tenant, &["cafe", "bakery"]).await;
    }
    service
}

/// A process beside the service, that carries runs out.
struct Worker {
    /// The feature flags that it goes by.
    flags: FlagCache,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

fn settings() -> RunnerConfig {
    Setup::default().runner
}

impl Worker {
    fn start(service: &Service, google: &Google, settings: RunnerConfig) -> Self {
        let stop = CancellationToken::new();
        let pool = service.database().pools(5);
        let wake = WakeUpBus::start(pool.clone(), stop.clone());
        let store = Store::new(pool);
        let flags = FlagCache::new(store.clone(), Setup::default().flags);
        let following = flags.clone().keep_fresh(wake.subscribe(Topic::Flags));
        tokio::spawn(stop.clone().run_until_cancelled_owned(following));
        let accounts = google.accounts(&store, settings.lease);
        let runner = Runner::new(store, accounts, wake, flags.clone(), settings);
        Self { flags, task: tokio::spawn(runner.run(stop.clone())), stop }
    }

    /// Stops it in good order.
    async fn stop(self) {
        self.stop.cancel();
        timeout(WAIT_TIMEOUT, self.task).await.expect("in time").expect("stopped");
    }

    /// Ends it as a crash would: nothing is handed back.
    async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.expect_err("aborted").is_cancelled());
        self.stop.cancel();
    }
}

/// Ends a server, whose work is `task`, as a crash would while a statement of it that is like `statement` waits for a lock that the test
/// has: the statement never happens, and the test can give the lock back.
async fn end_blocked(service: &Service, task: &JoinHandle<impl Sized>, statement: &str) {
    const BLOCKED: &str = "from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    service.database_says(&format!("select exists (select {BLOCKED} and query like '{statement}')")).await;
    task.abort();
    let end = format!("select pg_terminate_backend(pid, 10000) {BLOCKED}");
    sqlx::raw_sql(AssertSqlSafe(end)).execute(&service.pool).await.expect("ended");
}

impl Service {
    async fn accepted(&self, tenant: &str) -> Run {
        let mirrored = self.client.mirror(tenant, Strategy::PlatformToGbp).send().await;
        mirrored.expect("accepted").run
    }

    async fn get(&self, run: &Run) -> Run {
        self.client.get_run(&run.name).send().await.expect("the run")
    }

    /// Waits for a snapshot.
    async fn until(&self, run: &Run, is_it: impl Fn(&Run) -> bool) -> Run {
        let mut snapshots = self.client.watch_run(&run.name).send();
        let wait = async {
            loop {
                let run = snapshots.next().await.expect("a snapshot").expect("a snapshot");
                if is_it(&run) {
                    return run;
                }
            }
        };
        timeout(WAIT_TIMEOUT, wait).await.expect("in time")
    }

    /// Asks the database again and again until it says yes.
    pub(crate) async fn database_says(&self, question: &str) {
        let ask = || sqlx::query_scalar::<_, bool>(AssertSqlSafe(question.to_owned())).fetch_one(&self.pool);
        let asking = async { while !ask().await.expect("asked") {} };
        timeout(WAIT_TIMEOUT, asking).await.unwrap_or_else(|_| panic!("never true: {question}"));
    }
}
