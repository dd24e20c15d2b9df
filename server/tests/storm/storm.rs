//! A storm from its beginning to the verdict.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    audit,
    callers::{Caller, Stage, add_categories},
    chaos::Chaos,
    database::Database,
    evidence::Evidence,
    fleet::Fleet,
    google::Google,
    options::Options,
    record::Record,
    report, witness,
    witness::Ended,
};

/// Without a single run ending for so long, none will end.
const PATIENCE: Duration = Duration::from_secs(120);
/// Runs that may be ordered and not yet ended: on a slow machine the storm goes on for longer instead of leaving them to the calm.
const BACKLOG: u64 = 60;
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
    let stage =
        Arc::new(Stage { fleet, google, database: database.clone(), record: record.clone(), seed: options.seed });
    let ended = witness::watch(database.clone(), record.clone());
    let client = stage.fleet.patient_client().await;
    add_categories(&client).await;
    let mut callers = Vec::new();
    for number in 0..options.tenants() {
        callers.push(Caller::add(&stage, &client, number, ended.clone()).await);
    }
    let tenants: Vec<_> =
        callers.iter().map(|caller| (caller.tenant.clone(), caller.location.clone(), caller.initial.clone())).collect();

    stage.google.sicken(options.faults, options.seed).await;
    order(&options, &stage, &callers, &ended).await;
    let faults = stage.google.heal().await;
    let is_complete = settle(callers, &ended).await;
    if !is_complete {
        record.surprise(format!("no run has ended for {} s, though all is well again", PATIENCE.as_secs()));
    }

    let evidence = Evidence::gather(&stage, &tenants, &ended).await;
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

/// Orders runs evenly, for tenants by chance, while blow after blow falls. Ends when all are ordered and the last blow is over.
async fn order(options: &Options, stage: &Arc<Stage>, callers: &[Caller], ended: &Ended) {
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
            _ = orders.tick() => if ordered < count as u64 + BACKLOG {
                callers[dice.usize(..callers.len())].order();
                ordered += 1;
            },
            _ = beats.tick() => chaos.strike(),
            _ = progress.tick() => tell(ordered, stage, ended),
        }
    }
    chaos.calm().await;
    if goes_on(ordered) {
        eprintln!("storm: nothing ends any more while it rages; {ordered} runs were ordered so far");
    }
}

fn tell(ordered: u64, stage: &Stage, ended: &Ended) {
    let notes = stage.record.notes();
    eprintln!(
        "storm: {ordered} runs ordered, {} accepted, {} ended; {}",
        notes.accepted.len(),
        ended.count(),
        report::shown(&notes.tally)
    );
}

/// Waits until every ordered run has ended. False when there is no progress any more.
async fn settle(callers: Vec<Caller>, ended: &Ended) -> bool {
    let all = async {
        for caller in callers {
            caller.finish().await;
        }
    };
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
