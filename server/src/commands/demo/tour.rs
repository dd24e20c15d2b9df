//! The demo's story: a plan, the same for real, nothing left to do, and the statistics.

use category_mirror_client::{Error, Run, RunState, Strategy, SyncStats};
use futures::future::try_join_all;

use super::{
    sample::{self, STORES, Store},
    screen::{Progress, Screen},
    stage::Stage,
};
use crate::commands::CommandError;

/// Plays the story, and checks that it went as it should.
pub(super) async fn play(stage: &Stage, screen: &Screen) -> Result<(), CommandError> {
    sample::load(&stage.client).await.map_err(client_error)?;
    screen.say(&format!("Loaded {} stores of two chains.", STORES.len()));

    screen.heading("A dry run: what would change on Google?");
    for (store, run) in run_all(stage, None, true).await? {
        match (&run.plan, &run.error) {
            (Some(plan), None) => screen.block(store.name, &plan.to_string()),
            (_, Some(error)) => screen.block(store.name, &format!("x {}: {}", error.reason, error.message)),
            (None, None) => return Err(unexpected(store, &run)),
        }
        expect(store, &run)?;
    }

    screen.heading("The real run. One answer of Google's is made to fail, to show a retry:");
    stage.break_google_once().await?;
    let progress = screen.progress();
    for (store, run) in run_all(stage, Some(&progress), false).await? {
        expect(store, &run)?;
    }

    screen.heading("A second run: nothing is left to do.");
    let progress = screen.progress();
    for (store, run) in run_all(stage, Some(&progress), false).await? {
        expect(store, &run)?;
        if !run.written_changes.is_empty() {
            return Err(unexpected(store, &run));
        }
    }

    screen.heading("The last 24 hours:");
    show(screen, &stage.client.get_sync_stats().send().await.map_err(client_error)?);
    Ok(())
}

/// Runs every store at once, and follows each run to its end.
async fn run_all<'a>(
    stage: &Stage,
    progress: Option<&Progress<'a>>,
    dry_run: bool,
) -> Result<Vec<(&'a Store, Run)>, CommandError> {
    let runs = STORES.iter().map(|store| async move {
        let mut line = progress.map(|progress| progress.line(store.name));
        let mirrored = stage.client.mirror(store.id, Strategy::PlatformToGbp).dry_run(dry_run).send().await?;
        let mut last = mirrored.run;
        let mut snapshots = stage.client.watch_run(&last.name).send();
        while let Some(snapshot) = snapshots.next().await {
            last = snapshot?;
            if let Some(line) = &mut line {
                line.show(&last);
            }
        }
        Ok::<_, Error>((store, last))
    });
    try_join_all(runs).await.map_err(client_error)
}

fn expect(store: &Store, run: &Run) -> Result<(), CommandError> {
    let wanted = if store.is_known_to_google { RunState::Succeeded } else { RunState::Failed };
    if run.state == wanted { Ok(()) } else { Err(unexpected(store, run)) }
}

fn unexpected(store: &Store, run: &Run) -> CommandError {
    let error = run.error.as_ref().map(|error| error.message.as_str()).unwrap_or_default();
    CommandError::Failed(format!("{}: {} is {} {error}", store.name, run.name, run.state))
}

fn client_error(error: Error) -> CommandError {
    CommandError::failed("the service answered", error)
}

fn show(screen: &Screen, stats: &SyncStats) {
    let rate = stats.success_rate_percent.map_or("none yet".to_owned(), |rate| format!("{rate:.1} %"));
    for line in [
        format!("  runs          {} ({} of them dry)", stats.total_runs, stats.dry_runs),
        format!("  successful    {}", stats.successful_runs),
        format!("  failed        {}", stats.failed_runs),
        format!("  success rate  {rate}"),
        format!("  out of sync   {} runs found differences", stats.out_of_sync_runs),
    ] {
        screen.say(&line);
    }
    for run in &stats.recent_failures {
        let error = run.error.as_ref().map(|error| error.message.as_str()).unwrap_or_default();
        let reason = run.reason.as_deref().unwrap_or_default();
        screen.block(&format!("  {}", run.tenant), &format!("  {reason}: {error}"));
    }
}
