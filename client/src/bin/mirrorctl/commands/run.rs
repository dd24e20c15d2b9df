//! Creating, watching, showing and cancelling runs.

use std::io;

use category_mirror_client::{AcceptedRun, Client, Items, Printable, Run, RunState, WatchRuns};
use chrono::{DateTime, Utc};

use crate::{
    args::{CreateRunArgs, RunCommand},
    commands::{find, overrides::override_command, report},
    exit::Exit,
    show::output::Output,
};

async fn create(client: &Client, output: &mut Output, args: CreateRunArgs) -> Result<(), Exit> {
    let mut request = client.mirror(args.tenant, args.strategy).dry_run(args.dry_run);
    if let Some(id) = args.request_id {
        request = request.request_id(id);
    }
    if let Some(plan) = args.plan {
        request = request.plan(find::run(client, plan).await?);
    }
    if let Some(view) = args.gbp_view {
        request = request.view(view);
    }
    if let Some((guards, reason)) = args.overrides.given() {
        request = request.override_guards(guards, reason);
    }
    accepted(client, output, request.send().await?, args.wait).await
}

/// Shows the accepted run, and waits for its end if `wait` is set.
async fn accepted(client: &Client, output: &mut Output, mirrored: AcceptedRun, wait: bool) -> Result<(), Exit> {
    let name = mirrored.run.name.clone();
    output.show(&mirrored, |output| {
        let joined = if mirrored.joined { "joined the live run" } else { "accepted" };
        output.line(format_args!("{joined} {}", Printable(&name)))
    })?;
    if wait { watch_one(output, client.watch_run(name).send()).await } else { Ok(()) }
}

pub(crate) async fn run(client: &Client, output: &mut Output, command: RunCommand) -> Result<(), Exit> {
    let run = match command {
        RunCommand::Create(args) => return create(client, output, args).await,
        RunCommand::Get { run } => client.get_run(find::run(client, run).await?).send().await?,
        RunCommand::Last { tenant, strategy } => client.get_last_run(tenant, strategy).send().await?,
        RunCommand::Cancel { run } => client.cancel_run(find::run(client, run).await?).send().await?,
        RunCommand::Revert { run, dry_run, wait, overrides } => {
            let mut request = client.revert_run(find::run(client, run).await?).dry_run(dry_run);
            if let Some((guards, reason)) = overrides.given() {
                request = request.override_guards(guards, reason);
            }
            return accepted(client, output, request.send().await?, wait).await;
        }
        RunCommand::Watch { run: Some(run), .. } => {
            let run = find::run(client, run).await?;
            return watch_one(output, client.watch_run(run).send()).await;
        }
        RunCommand::Watch { run: None, tenant, organization } => {
            let request = match (tenant, organization) {
                (Some(tenant), _) => client.watch_tenant(tenant),
                (None, Some(organization)) => client.watch_organization(organization),
                (None, None) => client.watch_all(),
            };
            return watch_many(output, request).await;
        }
        RunCommand::List(filter) => return report::list(client, output, filter).await,
        RunCommand::Stats { tenant, organization, window } => {
            return report::stats(client, output, tenant, organization, window).await;
        }
    };
    Ok(output.show(&run, |output| details(output, &run))?)
}

pub(crate) async fn watch_one(output: &mut Output, mut snapshots: Items<Run>) -> Result<(), Exit> {
    let mut last = None;
    while let Some(run) = snapshots.next().await {
        let run = run?;
        output.show(&run, |output| {
            change(output, &run, "")?;
            if run.is_terminal() { outcome(output, &run) } else { Ok(()) }
        })?;
        last = Some(run.state);
    }
    if last == Some(RunState::Succeeded) { Ok(()) } else { Err(Exit::RunNotSucceeded) }
}

async fn watch_many(output: &mut Output, request: WatchRuns) -> Result<(), Exit> {
    let mut snapshots = request.send();
    while let Some(run) = snapshots.next().await {
        let run = run?;
        output.show(&run, |output| summary(output, &run))?;
    }
    Ok(())
}

/// When a run became what it is: its end, or what its newest attempt came to. Runs of lists have no attempts.
fn change_time(run: &Run) -> Option<DateTime<Utc>> {
    let attempt = run.attempts.last().and_then(|attempt| attempt.end_time.or(attempt.start_time));
    run.end_time.or(attempt).or(run.start_time).or(run.create_time)
}

/// One line for one of many runs as it changes.
pub(crate) fn summary(output: &mut Output, run: &Run) -> io::Result<()> {
    let which = format!("{} {}  {}  ", output.id(&run.tenant), output.id(&run.name), run.strategy);
    change(output, run, &which)
}

/// One line for a change of a run. `which` says of which one, where that is not clear.
fn change(output: &mut Output, run: &Run, which: &str) -> io::Result<()> {
    let state = output.state(run);
    // Padded before it is painted: escapes take no room.
    let state = output.paint(state.color, format_args!("{:<9}", state.text));
    let attempt = if run.attempt > 1 { format!("attempt {}/{}", run.attempt, run.max_attempts) } else { String::new() };
    let reason = Printable(run.reason.as_deref().unwrap_or_default()).to_string();
    let next =
        run.next_attempt_time.map(|time| format!("next attempt {}", output.time(Some(time)))).unwrap_or_default();
    let rest = [attempt, reason, next].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("  ");
    let line = format!("{}  {state}  {which}{}  {rest}", output.time(change_time(run)), run.counts);
    output.line(line.trim_end())
}

/// Everything about a run.
fn details(output: &mut Output, run: &Run) -> io::Result<()> {
    let of = if run.dry_run { " (dry run)" } else { "" };
    output.field("run", Some(Printable(&run.name)))?;
    output.field("strategy", Some(format_args!("{}{of}", run.strategy)))?;
    let state = output.state(run).color;
    output.field("state", Some(output.paint(state, run.state)))?;
    output.field("attempt", Some(format_args!("{} of {}", run.attempt, run.max_attempts)))?;
    output.field("caller", Some(Printable(&run.caller)))?;
    output.field("organization", run.organization.as_deref().map(Printable))?;
    output.field("reverts", run.revert_of.as_deref().map(Printable))?;
    output.field("applies", run.applied_plan.as_deref().map(Printable))?;
    output.field("view", run.view)?;
    for guard in &run.overridden_guards {
        output.field("overrides", Some(Printable(guard)))?;
    }
    for check in &run.overridden_checks {
        output.field("overrides", Some(Printable(check)))?;
    }
    output.field("decision", run.decision)?;
    output.field("because", run.override_reason.as_deref().map(Printable))?;
    output.time_field("accepted", run.create_time)?;
    output.time_field("started", run.start_time)?;
    output.time_field("next attempt", run.next_attempt_time)?;
    output.time_field("ended", run.end_time)?;
    output.field("cancel", run.cancel_requested.then_some("requested"))?;
    // A single attempt is what the other fields show.
    for attempt in run.attempts.iter().filter(|_| run.attempts.len() > 1) {
        let time = output.time(attempt.start_time);
        let error = attempt.error.as_ref().map(|error| error.message.as_str()).unwrap_or_default();
        let line = format!("{}  {time}  {}  {}", attempt.claim_number, attempt.state, Printable(error));
        output.field("attempts", Some(line.trim_end()))?;
    }
    outcome(output, run)
}

/// The plan, what was written of it, and the error.
fn outcome(output: &mut Output, run: &Run) -> io::Result<()> {
    if let Some(plan) = &run.plan {
        output.changes(plan)?;
    }
    if !run.dry_run && run.plan.as_ref().is_none_or(|plan| plan.changes != run.written_changes) {
        for change in &run.written_changes {
            output.line(format_args!("written       {change}"))?;
        }
    }
    if let Some(write) = &run.unresolved_write {
        let location = Printable(write.gbp_location.as_deref().unwrap_or("the location"));
        output
            .field("unresolved", Some(format_args!("a write to {location}: it is not known whether it took effect")))?;
    }
    output.field("reason", run.reason.as_deref().map(Printable))?;
    let hint = override_command(run);
    if let Some(error) = &run.error {
        // The server's advice names fields of its protocol: the command line below does the same.
        let message =
            if hint.is_some() { error.message.split("; ").next().unwrap_or_default() } else { &error.message };
        output.field("error", Some(format_args!("{} (attempt {})", Printable(message), error.attempt)))?;
        output.field("google", error.upstream_details_json.as_deref().map(Printable))?;
    }
    output.field("to override", hint.as_deref().map(Printable))
}
