//! What a flood does to others: a valid caller's calls, runs, and the server's memory and descriptors.

use std::{
    fs,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use category_mirror_client::{Client, Strategy};
use tokio::{task::JoinSet, time::interval};

use super::site::Stage;

/// Between two calls of the valid caller.
const CALL_INTERVAL: Duration = Duration::from_millis(20);
/// Between two looks at the process.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(20);
/// Between two runs that the valid caller asks for.
const RUN_INTERVAL: Duration = Duration::from_secs(2);

/// What was seen.
#[derive(Debug, Default, Clone)]
pub(super) struct Sight {
    pub(super) resident_before_kb: u64,
    pub(super) most_resident_kb: u64,
    pub(super) most_descriptors: usize,
    pub(super) calls: usize,
    pub(super) failed: usize,
    pub(super) last_failure: Option<String>,
    pub(super) runs_ended: usize,
    durations: Vec<Duration>,
}

impl Sight {
    pub(super) fn percentile_ms(&self, percent: usize) -> f64 {
        let mut sorted = self.durations.clone();
        sorted.sort();
        let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
        sorted.get(index).map_or(f64::INFINITY, |duration| (duration.as_secs_f64() * 10_000.0).round() / 10.0)
    }
}

/// Watches, until it is stopped.
pub(super) struct Watcher {
    seen: Arc<Mutex<Sight>>,
    tasks: JoinSet<()>,
}

impl Watcher {
    pub(super) async fn start(stage: &Stage) -> Self {
        let client = stage.client();
        if stage.has_tenants() {
            // A location that none of them has.
            stage.site().load_tenant(&client, "7000077").await;
        } else {
            stage.site().load(&client).await;
        }
        let run = stage.site().trigger(&client).await;
        let mut snapshots = client.watch_run(&run).send();
        while snapshots.next().await.transpose().expect("a snapshot").is_some() {}
        let seen = Sight { resident_before_kb: stage.resident_kb(), ..Sight::default() };
        let seen = Arc::new(Mutex::new(seen));
        let mut tasks = JoinSet::new();
        tasks.spawn(call(client.clone(), seen.clone()));
        tasks.spawn(run_again(client, seen.clone()));
        tasks.spawn(sample(stage.server.pid().to_string(), seen.clone()));
        Self { seen, tasks }
    }

    pub(super) async fn stop(mut self) -> Sight {
        self.tasks.shutdown().await;
        self.seen.lock().expect("sound").clone()
    }
}

async fn call(client: Client, seen: Arc<Mutex<Sight>>) {
    let mut ticks = interval(CALL_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let began = Instant::now();
        let answer = client.get_tenant("store").send().await;
        let mut seen = seen.lock().expect("sound");
        seen.calls += 1;
        seen.durations.push(began.elapsed());
        if let Err(error) = answer {
            seen.failed += 1;
            seen.last_failure = Some(error.to_string());
        }
    }
}

async fn run_again(client: Client, seen: Arc<Mutex<Sight>>) {
    let mut ticks = interval(RUN_INTERVAL);
    loop {
        ticks.tick().await;
        let Ok(mirrored) = client.mirror("store", Strategy::PlatformToGbp).dry_run(true).send().await else { continue };
        let mut snapshots = client.watch_run(&mirrored.run.name).send();
        while let Some(Ok(run)) = snapshots.next().await {
            if run.is_terminal() {
                seen.lock().expect("sound").runs_ended += 1;
            }
        }
    }
}

async fn sample(pid: String, seen: Arc<Mutex<Sight>>) {
    let mut ticks = interval(SAMPLE_INTERVAL);
    loop {
        ticks.tick().await;
        let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else { return };
        let resident = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let resident = resident.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0);
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
        let mut seen = seen.lock().expect("sound");
        seen.most_resident_kb = seen.most_resident_kb.max(resident);
        seen.most_descriptors = seen.most_descriptors.max(descriptors);
    }
}
