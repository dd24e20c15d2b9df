//! A storm from its beginning to the verdict.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::ExitCode,
    sync::{Arc, atomic::AtomicU64, atomic::Ordering},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    audit,
    callers::{Caller, mirror_once_more},
    chaos::Chaos,
    database::Database,
    evidence::Evidence,
    fleet::Fleet,
    franchises::Franchise,
    google::Google,
    options::Options,
    record::Record,
    report,
    shop::{Address, add_categories},
    stage::Stage,
    witness,
    witness::Ended,
};

/// Without a single run ending for so long, none will end.
const PATIENCE: Duration = Duration::from_secs(120);
/// Runs that may be ordered and not yet ended: on a slow machine the storm goes on for longer instead of leaving them to the calm.
const BACKLOG: u64 = 80;
/// With every so many runs a batch is ordered too.
const BATCH_EVERY: u64 = 15;
/// Between two lines about how it goes.
const PROGRESS: Duration = Duration::from_secs(10);

/// Lets a storm rage, and judges what it leaves.
pub(crate) async fn rage(options: Options) -> ExitCode {
    let began = Instant::now();
    let folder = folder();
    let record = Arc::new(Record::default());
    let database = Arc::new(Database::start(folder.path().join("data")).await);
    let google = Google::start().await;
    let fleet = Fleet::start(options.replicas, folder.path(), &google.endpoint, &database, &record).await;
    let ended = witness::watch(database.clone(), record.clone());
    let stage = Arc::new(Stage {
        fleet,
        google,
        database: database.clone(),
        record: record.clone(),
        ended: ended.clone(),
        seed: options.seed,
        open: AtomicU64::new(0),
    });
    let client = stage.fleet.patient_client().await;
    add_categories(&client).await;
    let mut callers = Vec::new();
    for number in 0..options.tenants() {
        callers.push(Caller::add(&stage, &client, number).await);
    }
    let franchises = Franchise::add_all(&stage, &client).await;
    let addresses: Vec<Address> = callers.iter().map(|caller| caller.address.clone()).collect();
    let addresses = [addresses, franchises.iter().flat_map(|all| all.addresses.clone()).collect()].concat();

    stage.google.sicken(options.faults, options.seed).await;
    order(&options, &stage, &callers, &franchises).await;
    let faults = stage.google.heal().await;
    let rest = async {
        settle(callers, franchises).await;
        mirror_once_more(&stage, &addresses).await;
    };
    if !while_runs_end(rest, &ended).await {
        record.surprise(format!("no run has ended for {} s, though all is well again", PATIENCE.as_secs()));
    }

    let evidence = Evidence::gather(&stage, &addresses).await;
    stage.fleet.end().await;
    let mut verdict = audit::judge(&evidence);
    verdict.findings.extend(record.notes().surprises.iter().cloned());
    if verdict.findings.is_empty() {
        (verdict.forgeries, verdict.findings) = audit::forge(&evidence);
    }
    report::print(&options, &evidence, &verdict, &faults, began.elapsed());
    drop(stage);
    if let Some(database) = Arc::into_inner(database) {
        database.stop().await;
    }
    if verdict.findings.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("storm: every log is in {}", folder.keep().display());
    ExitCode::FAILURE
}

/// Orders runs evenly, for tenants by chance, and batches in turn, while blow after blow falls. Ends when all are ordered and the
/// last blow is over.
async fn order(options: &Options, stage: &Arc<Stage>, callers: &[Caller], franchises: &[Franchise]) {
    let ended = &stage.ended;
    let mut franchises = franchises.iter().cycle();
    let mut dice = fastrand::Rng::with_seed(options.seed.wrapping_add(1));
    let mut chaos = Chaos::new(stage.clone());
    let mut orders = interval(Duration::from_secs_f64(1.0 / options.rate));
    let mut beats = interval(options.beat);
    let mut progress = interval(PROGRESS);
    for ticks in [&mut beats, &mut progress] {
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
    }
    let (began, mut ordered) = (Instant::now(), 0);
    let goes_on = |ordered| match options.duration {
        Some(duration) => began.elapsed() < duration,
        None => ordered < options.runs,
    };
    let (mut count, mut since) = (0, Instant::now());
    while goes_on(ordered) && since.elapsed() < PATIENCE {
        if ended.count() > count {
            (count, since) = (ended.count(), Instant::now());
        }
        tokio::select! {
            _ = orders.tick() => if stage.open.load(Ordering::Relaxed) < BACKLOG {
                callers[dice.usize(..callers.len())].order();
                if ordered % BATCH_EVERY == 0 {
                    franchises.next().expect("without end").order();
                }
                ordered += 1;
            },
            _ = beats.tick() => chaos.strike(),
            _ = progress.tick() => tell(ordered, stage),
        }
    }
    chaos.calm().await;
    if goes_on(ordered) {
        eprintln!("storm: nothing ends any more while it rages; {ordered} runs were ordered so far");
    }
}

fn tell(ordered: u64, stage: &Stage) {
    let notes = stage.record.notes();
    eprintln!(
        "storm: {ordered} runs ordered, {} and {} batches accepted, {} ended; {}",
        notes.accepted.len(),
        notes.batches.len(),
        stage.ended.count(),
        report::shown(&notes.tally)
    );
}

/// Waits until all that was ordered has ended.
async fn settle(callers: Vec<Caller>, franchises: Vec<Franchise>) {
    for caller in callers {
        caller.finish().await;
    }
    for franchise in franchises {
        franchise.finish().await;
    }
}

/// Waits for something that ends when runs do. False when there is no progress any more.
async fn while_runs_end(all: impl Future<Output = ()>, ended: &Ended) -> bool {
    let stuck = async {
        let (mut count, mut since) = (ended.count(), Instant::now());
        while since.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if ended.count() > count {
                (count, since) = (ended.count(), Instant::now());
            }
        }
    };
    tokio::select! {
        () = all => true,
        () = stuck => false,
    }
}

/// A folder that PostgreSQL's user can reach, also where we are root.
fn folder() -> TempDir {
    let folder = tempfile::Builder::new().prefix("category-mirror-storm-").tempdir().expect("a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
    folder
}
