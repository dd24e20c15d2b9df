//! A storm from its beginning to the verdict.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::ExitCode,
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    audit, callers::mirror_once_more, crowd::Crowd, database::Database, evidence::Evidence, fleet::Fleet, gate::Gate,
    google::Google, options::Options, pooler::Pooler, record::Record, report, shop::add_categories, stage::Stage,
    switch::Switch, witness, witness::Ended,
};

/// Without a single run ending for so long, none will end.
pub(crate) const WAIT_TIMEOUT: Duration = Duration::from_secs(120);

/// Lets a storm rage, and judges what it leaves.
pub(crate) async fn rage(options: Options) -> ExitCode {
    let began = Instant::now();
    let folder = folder();
    let record = Arc::new(Record::default());
    let database = Arc::new(Database::start(folder.path(), options.failovers).await);
    let pooler = if options.pooler { Pooler::start(folder.path(), &database).await.map(Arc::new) } else { None };
    let google = Google::start().await;
    let (gate, endpoint) = Gate::open(&google.endpoint, &record).await;
    let fleet = Fleet::start(&options, folder.path(), &endpoint, &database, pooler.as_ref(), &record).await;
    let ended = witness::watch(database.clone(), record.clone());
    let stage = Arc::new(Stage {
        fleet,
        google,
        gate,
        switch: Switch::default(),
        database: database.clone(),
        pooler,
        has_failovers: options.failovers,
        record: record.clone(),
        ended: ended.clone(),
        seed: options.seed,
        open: AtomicU64::new(0),
    });
    let client = stage.fleet.patient_client().await;
    add_categories(&client).await;
    stage.switch_on().await;
    let crowd = Crowd::gather(&stage, &client, options.tenants()).await;
    let (addresses, spare) = (crowd.addresses(), crowd.spare());

    stage.google.sicken(options.faults, options.seed).await;
    let phase = |what: &str| eprintln!("storm: {what} after {:.1} s", began.elapsed().as_secs_f64());
    phase("everybody is there");
    crowd.order(&options, &stage).await;
    phase("all is calm");
    let faults = stage.google.heal().await;
    let rest = async {
        crowd.settle().await;
        phase("all that was ordered has ended");
        stage.restore(&addresses).await;
        mirror_once_more(&stage, &addresses).await;
        phase("each tenant was mirrored once more");
    };
    if !while_runs_end(Box::pin(rest), &ended).await {
        record.surprise(format!("no run has ended for {} s, though all is well again", WAIT_TIMEOUT.as_secs()));
    }

    let evidence = Evidence::gather(&stage, &addresses, &spare).await;
    stage.fleet.end().await;
    phase("everybody has gone");
    let mut verdict = audit::judge(&evidence);
    verdict.findings.extend(record.notes().surprises.iter().cloned());
    let (forgeries, missed) = audit::mutate(&evidence);
    verdict.forgeries = forgeries;
    if verdict.findings.is_empty() {
        verdict.findings = missed;
    } else {
        // What is wrong anyhow may hide a forgery.
        missed.iter().for_each(|missed| eprintln!("storm: {missed}"));
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

/// Waits for something that ends when runs do. False when there is no progress any more.
async fn while_runs_end(all: impl Future<Output = ()>, ended: &Ended) -> bool {
    let stuck = async {
        let (mut count, mut since) = (ended.count(), Instant::now());
        while since.elapsed() < WAIT_TIMEOUT {
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
