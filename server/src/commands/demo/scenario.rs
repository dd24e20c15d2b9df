//! The story of the demo: plans, real runs as far as guards allow, the others with a reason, nothing left to do, and statistics.

use category_mirror_client::{Error, Mirror, Printable, Run, RunState, Strategy, SyncStats};
use futures::future::try_join_all;

use super::{
    environment::DemoEnvironment,
    sample::{self, STORES, Store},
    screen::{ProgressDisplay, Screen},
};
use crate::commands::CommandError;

/// A store, and the guards that stop its real run.
type Stopped = (&'static Store, Vec<String>);

/// Plays the story, and checks that it went as it should.
pub(super) async fn play(environment: &DemoEnvironment, screen: &Screen) -> Result<(), CommandError> {
    sample::load(environment.client()).await.map_err(client_error)?;
    screen.say(&format!("Loaded {} stores of two chains.", STORES.len()));
    let mirror = |store: &Store| environment.client().mirror(store.id, Strategy::PlatformToGbp);

    screen.heading("A dry run: what would change on Google?");
    let mut stopped: Vec<Stopped> = Vec::new();
    for (store, run) in run_all(environment, None, STORES.iter(), |store| mirror(store).dry_run(true)).await? {
        match (&run.plan, &run.error) {
            (Some(plan), None) => {
                screen.block(store.name, &plan.to_string());
                if plan.is_stopped() {
                    let stopping = plan.guard_verdicts.iter().filter(|verdict| verdict.stops());
                    stopped.push((store, stopping.map(|verdict| verdict.rule.clone()).collect()));
                }
            }
            (_, Some(error)) => screen.block(store.name, &format!("x {}: {}", error.reason, Printable(&error.message))),
            (None, None) => return Err(unexpected(store, &run)),
        }
        expect(store, &run, store.is_known_to_google)?;
    }
    let is_stopped = |store: &Store| stopped.iter().any(|(other, _)| other.id == store.id);

    screen.heading("The real run. Guards stop changes that a person should review. One request to Google is made to fail, to show a retry:");
    environment.break_google_once().await?;
    let progress = screen.progress();
    for (store, run) in run_all(environment, Some(&progress), STORES.iter(), mirror).await? {
        expect(store, &run, store.is_known_to_google && !is_stopped(store))?;
        if is_stopped(store) && run.reason.as_deref() != Some("GUARD") {
            return Err(unexpected(store, &run));
        }
    }

    screen.heading("A person has reviewed these plans and overrides the guards for one run each, with a reason:");
    let guards = |store: &Store| {
        let of_store = stopped.iter().find(|(other, _)| other.id == store.id);
        of_store.map(|(_, guards)| guards.clone()).unwrap_or_default()
    };
    for (store, guards) in &stopped {
        screen.say(&format!("  {:28} {}", store.name, guards.join(", ")));
    }
    let progress = screen.progress();
    let with_reason = |store: &Store| mirror(store).override_guards(guards(store), "seen in the dry run, and wanted");
    let stores = stopped.iter().map(|(store, _)| *store);
    for (store, run) in run_all(environment, Some(&progress), stores, with_reason).await? {
        expect(store, &run, true)?;
    }

    screen.heading("A second real run: nothing is left to do.");
    let progress = screen.progress();
    for (store, run) in run_all(environment, Some(&progress), STORES.iter(), mirror).await? {
        expect(store, &run, store.is_known_to_google)?;
        if !run.written_changes.is_empty() {
            return Err(unexpected(store, &run));
        }
    }

    screen.heading("The last 24 hours:");
    show(screen, &environment.client().get_sync_stats().send().await.map_err(client_error)?);
    Ok(())
}

/// Runs stores at once, each as `request` asks for it, and follows each run to its end.
async fn run_all<'a>(
    environment: &DemoEnvironment,
    progress: Option<&ProgressDisplay<'a>>,
    stores: impl Iterator<Item = &'static Store>,
    request: impl Fn(&Store) -> Mirror,
) -> Result<Vec<(&'static Store, Run)>, CommandError> {
    let runs = stores.map(|store| {
        let request = request(store);
        async move {
            let mut line = progress.map(|progress| progress.line(store.name));
            let mut last = request.send().await?.run;
            let mut snapshots = environment.client().watch_run(&last.name).send();
            while let Some(snapshot) = snapshots.next().await {
                last = snapshot?;
                if let Some(line) = &mut line {
                    line.show(&last);
                }
            }
            Ok::<_, Error>((store, last))
        }
    });
    try_join_all(runs).await.map_err(client_error)
}

fn expect(store: &Store, run: &Run, succeeds: bool) -> Result<(), CommandError> {
    let wanted = if succeeds { RunState::Succeeded } else { RunState::Failed };
    if run.state == wanted { Ok(()) } else { Err(unexpected(store, run)) }
}

fn unexpected(store: &Store, run: &Run) -> CommandError {
    let error = run.error.as_ref().map(|error| error.message.as_str()).unwrap_or_default();
    CommandError::Failed(format!("{}: {} is {} {}", store.name, run.name, run.state, Printable(error)))
}

fn client_error(error: Error) -> CommandError {
    CommandError::failed("the service answered", error)
}

fn show(screen: &Screen, stats: &SyncStats) {
    let rate = stats.success_rate_percent.map_or("none yet".to_owned(), |rate| format!("{rate:.1} %"));
    for line in [
        format!("  runs          {} ({} of them dry)", stats.total_runs, stats.dry_runs),
        format!("  successful    {}", stats.succeeded_runs),
        format!("  failed        {} ({} stopped by a guard)", stats.failed_runs, stats.guard_stopped_runs),
        format!("  success rate  {rate}"),
        format!("  out of sync   {} runs found differences", stats.out_of_sync_runs),
    ] {
        screen.say(&line);
    }
    screen.say("  The failed runs, each with its reason, as planned for this demo:");
    for run in &stats.recent_failures {
        let error = run.error.as_ref().map(|error| error.message.as_str()).unwrap_or_default();
        let reason = run.reason.as_deref().unwrap_or_default();
        screen.say(&format!("    {:22} {reason}: {}", run.tenant, Printable(error)));
    }
}
