//! From accepted to started.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use category_mirror::{commands::CommandError, gbp, store};
use category_mirror_client::{Client, Strategy};
use serde_json::json;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};

use crate::{
    environment::{BenchEnvironment, Service, TENANTS},
    in_process::in_process,
    load::percentile_ms,
    pgbench,
    report::{report, rounded},
};

/// Runs at once, as `serve` has it by default.
const CONCURRENCY: usize = 10;
/// Calls a second, of the loaded server.
const CALLS_PER_SECOND: u64 = 500;
/// Between two calls of a lone caller: long enough for the server to be idle again, and no multiple of anything.
const CALL_DELAY: Duration = Duration::from_millis(17);
/// How long Google takes for each of the runs that the others have to pass.
const GBP_DELAY: Duration = Duration::from_millis(50);
/// Within this time every run that was accepted has begun.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(60);

/// When Google was first asked about each location: the start of a run is its first question.
#[derive(Clone, Default)]
struct Starts(Arc<Mutex<HashMap<String, Instant>>>);

/// A call, and what came of it.
struct Call {
    location: String,
    sent: Instant,
    answered: Instant,
}

/// Measures an idle server, a loaded one, and one with `bulk` runs queued.
pub(crate) async fn run(environment: &BenchEnvironment, bulk: u64, window: Duration) -> Result<(), CommandError> {
    let alone = environment.pgbench.run(pgbench::ALONE, 1, window).await?;
    let pgbench_ms = rounded(1000.0 / alone);
    for (scenario, delay, queued) in
        [("idle", Duration::ZERO, 0), ("500_a_second", Duration::ZERO, 0), ("behind_bulk", GBP_DELAY, bulk)]
    {
        environment.clear_runs().await?;
        let failed = |error| CommandError::failed("cannot fill the queue", error);
        store::queue(&environment.pool, queued, true).await.map_err(failed)?;
        let starts = Starts::default();
        #[expect(
            clippy::disallowed_methods,
            reason = "a full channel would slow down what is measured; the bench bounds the runs"
        )]
        let (reported, heard) = mpsc::unbounded_channel();
        let google = starts.google(delay, reported)?;
        let service = environment.serve(CONCURRENCY, google).await?;
        // Connections, plans, and the bulk runs take their places.
        sleep(Duration::from_secs(1)).await;
        // Behind them all in the numbers, so that no call meets one of their tenants.
        let calls = if scenario == "500_a_second" {
            many(&service, queued, window).await
        } else {
            one_by_one(&service, queued, window, heard).await
        };
        let begun = starts.of(&calls).await?;
        service.stop().await;
        let since = |from: fn(&Call) -> Instant| {
            let mut waits: Vec<Duration> =
                calls.iter().zip(&begun).map(|(call, begun)| begun.saturating_duration_since(from(call))).collect();
            waits.sort_unstable();
            waits
        };
        let (accepted, sent) = (since(|call| call.answered), since(|call| call.sent));
        report(&json!({
            "bench": "latency",
            "scenario": scenario,
            "bulk_runs_queued": queued,
            "calls": calls.len(),
            "accepted_to_started_p50_ms": rounded(percentile_ms(&accepted, 50)),
            "accepted_to_started_p99_ms": rounded(percentile_ms(&accepted, 99)),
            "accepted_to_started_max_ms": rounded(percentile_ms(&accepted, 100)),
            "sent_to_started_p50_ms": rounded(percentile_ms(&sent, 50)),
            "sent_to_started_p99_ms": rounded(percentile_ms(&sent, 99)),
            "sent_to_started_max_ms": rounded(percentile_ms(&sent, 100)),
            "pgbench_insert_and_claim_ms": pgbench_ms,
            "ratio_sent_to_started_p50_to_pgbench": rounded(percentile_ms(&sent, 50) / pgbench_ms),
        }))?;
    }
    Ok(())
}

impl Starts {
    fn google(&self, delay: Duration, reported: mpsc::UnboundedSender<String>) -> Result<gbp::Client, CommandError> {
        let starts = self.clone();
        in_process(delay, move |location| {
            let now = Instant::now();
            starts.lock().entry(location.to_string()).or_insert(now);
            let _ = reported.send(location.to_string());
        })
    }

    /// When each of these calls' runs began. Waits for those that have not.
    async fn of(&self, calls: &[Call]) -> Result<Vec<Instant>, CommandError> {
        let given_up = Instant::now() + ARRIVAL_TIMEOUT;
        loop {
            let begun: Vec<Instant> = {
                let starts = self.lock();
                calls.iter().filter_map(|call| starts.get(&call.location).copied()).collect()
            };
            if begun.len() == calls.len() {
                return Ok(begun);
            }
            if Instant::now() > given_up {
                let missing = calls.len() - begun.len();
                return Err(CommandError::failed("latency", format!("{missing} accepted runs never began")));
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One call, and the next when its run has begun.
async fn one_by_one(
    service: &Service,
    first: u64,
    window: Duration,
    mut heard: mpsc::UnboundedReceiver<String>,
) -> Vec<Call> {
    let began = Instant::now();
    let mut calls = Vec::new();
    for tenant in first..TENANTS {
        if began.elapsed() > window {
            break;
        }
        let call = call(service.clients.clone(), tenant).await;
        while let Some(location) = heard.recv().await
            && location != call.location
        {}
        calls.push(call);
        sleep(CALL_DELAY).await;
    }
    calls
}

/// Calls at a steady rate, whatever becomes of those before.
async fn many(service: &Service, first: u64, window: Duration) -> Vec<Call> {
    let began = Instant::now();
    let mut ticks = interval(Duration::from_secs(1) / u32::try_from(CALLS_PER_SECOND).unwrap_or(u32::MAX));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut calls = JoinSet::new();
    for tenant in first..TENANTS {
        ticks.tick().await;
        if began.elapsed() > window {
            break;
        }
        calls.spawn(call(service.clients.clone(), tenant));
    }
    calls.join_all().await
}

async fn call(clients: Arc<[Client]>, tenant: u64) -> Call {
    let client = &clients[usize::try_from(tenant).unwrap_or_default() % clients.len()];
    let sent = Instant::now();
    let mirrored = client.mirror(format!("bench-{tenant}"), Strategy::PlatformToGbp).send().await;
    mirrored.expect("accepted");
    Call { location: tenant.to_string(), sent, answered: Instant::now() }
}
