//! Creating, watching, showing and cancelling batches.

use std::io;

use category_mirror_client::{Batch, Client, Printable};

use crate::{
    args::{self, OutputFormat},
    commands::{failures, find, progress, run::summary},
    exit::Exit,
    show::{
        list::{List, page_size},
        output::Output,
        table::{Cell, Column},
    },
};

const BATCHES: [Column; 9] = [
    Column::whole("BATCH"),
    Column::whole("TIME"),
    Column::whole("STATE"),
    Column::whole("STRATEGY"),
    Column::whole("ENDED"),
    Column::text("CALLER"),
    Column::optional("FAILED"),
    Column::optional("TENANTS OF"),
    Column::optional("CHANGES"),
];

pub(crate) async fn batch(client: &Client, output: &mut Output, command: args::BatchCommand) -> Result<(), Exit> {
    let batch = match command {
        args::BatchCommand::Create(args) => return start(client, output, args).await,
        args::BatchCommand::List { limit } => return list(client, output, limit).await,
        args::BatchCommand::Watch { batch } => {
            return watch(client, output, find::batch(client, batch).await?).await;
        }
        args::BatchCommand::Get { batch } => client.get_batch(find::batch(client, batch).await?).send().await?,
        args::BatchCommand::Cancel { batch } => client.cancel_batch(find::batch(client, batch).await?).send().await?,
    };
    show(client, output, &batch).await
}

async fn start(client: &Client, output: &mut Output, args: args::CreateBatchArgs) -> Result<(), Exit> {
    let wait = args.wait;
    let batch = create(client, args).await?;
    if !wait {
        return show(client, output, &batch).await;
    }
    if output.format() == OutputFormat::Json {
        output.show(&batch, |_| Ok(()))?;
        return watch(client, output, batch.name).await;
    }
    output.line(format_args!("accepted {} with {} tenants", Printable(&batch.name), batch.tenant_count))?;
    let ended = progress::until_ended(client, batch).await?;
    show(client, output, &ended).await?;
    outcome(&ended)
}

async fn create(client: &Client, args: args::CreateBatchArgs) -> Result<Batch, Exit> {
    let args::CreateBatchArgs {
        strategy,
        target,
        confirm_tenant_count,
        dry_run,
        override_guards,
        confirm_override_count,
        reason,
        wait: _,
        request_id,
    } = args;
    let mut request = match target.organization {
        Some(organization) => client.mirror_organization(organization, strategy),
        // The command line holds `--all-tenants` together with `--confirm-tenant-count`.
        None => client.mirror_all(strategy, confirm_tenant_count.unwrap_or_default()),
    };
    if let Some(tenants) = confirm_tenant_count {
        request = request.confirm(tenants);
    }
    if let Some(reason) = reason {
        request = request.override_guards(override_guards, reason);
    }
    if let Some(runs) = confirm_override_count {
        request = request.confirm_overrides(runs);
    }
    if let Some(id) = request_id {
        request = request.request_id(id);
    }
    Ok(request.dry_run(dry_run).send().await?)
}

async fn list(client: &Client, output: &mut Output, limit: usize) -> Result<(), Exit> {
    let batches = client.list_batches().page_size(page_size(limit)).send();
    List { what: "batches", columns: &BATCHES, limit: Some(limit), rows: &|output, batch| vec![row(output, batch)] }
        .show(output, batches)
        .await
}

fn row(output: &Output, batch: &Batch) -> Vec<Cell> {
    let dry = if batch.dry_run { " (dry)" } else { "" };
    let target = batch.organization.as_deref().map_or("all".to_owned(), |name| output.id(name));
    vec![
        output.id(&batch.name).into(),
        output.time(batch.create_time).into(),
        batch.state.into(),
        format!("{}{dry}", batch.strategy).into(),
        format!("{}/{}", progress::ended(batch), batch.tenant_count).into(),
        Printable(&batch.caller).into(),
        batch.failed_count.into(),
        target.into(),
        changes(batch).into(),
    ]
}

fn changes(batch: &Batch) -> String {
    let changes = batch.change_counts;
    format!("+{} ~{} -{}", changes.created, changes.updated, changes.deleted)
}

/// Each run as it changes, and the batch at its end.
async fn watch(client: &Client, output: &mut Output, batch: String) -> Result<(), Exit> {
    let mut snapshots = client.watch_batch(batch.clone()).send();
    while let Some(run) = snapshots.next().await {
        let run = run?;
        output.show(&run, |output| summary(output, &run))?;
    }
    let batch = client.get_batch(batch).send().await?;
    show(client, output, &batch).await?;
    outcome(&batch)
}

fn outcome(batch: &Batch) -> Result<(), Exit> {
    if batch.failed_count + batch.skipped_count + batch.cancelled_count == 0 {
        Ok(())
    } else {
        Err(Exit::RunNotSucceeded)
    }
}

async fn show(client: &Client, output: &mut Output, batch: &Batch) -> Result<(), Exit> {
    output.show(batch, |output| details(output, batch))?;
    let counts: Vec<_> = batch.failure_counts.iter().collect();
    failures::show(output, &counts, &[], &client.list_sync_logs().batch(&batch.name)).await
}

fn details(output: &mut Output, batch: &Batch) -> io::Result<()> {
    let of = if batch.dry_run { " (dry run)" } else { "" };
    output.field("batch", Some(Printable(&batch.name)))?;
    output.field("strategy", Some(format_args!("{}{of}", batch.strategy)))?;
    output.field("organization", batch.organization.as_deref().map(Printable))?;
    output.field("state", Some(batch.state))?;
    output.field("tenants", Some(batch.tenant_count))?;
    let counts = [
        ("no location", batch.without_location_count),
        ("flag off", batch.disabled_count),
        ("pending", batch.pending_count),
        ("queued", batch.queued_count),
        ("running", batch.running_count),
        ("succeeded", batch.succeeded_count),
        ("failed", batch.failed_count),
        ("skipped", batch.skipped_count),
        ("joined", batch.joined_count),
        ("cancelled", batch.cancelled_count),
        ("out of sync", batch.out_of_sync_count),
    ];
    for (name, count) in counts {
        output.field(name, Some(count).filter(|count| *count > 0))?;
    }
    output.field("changes", Some(changes(batch)))?;
    for guard in batch.guards.iter().filter(|guard| guard.exceeded) {
        let limit = guard.limit.unwrap_or_default();
        output.field("guard", Some(format_args!("{}: {} of at most {limit}", Printable(&guard.rule), guard.value)))?;
    }
    guarded(output, batch)?;
    output.field("caller", Some(Printable(&batch.caller)))?;
    output.time_field("accepted", batch.create_time)?;
    output.time_field("ended", batch.end_time)
}

/// How many runs the guards of runs stop, and for how many they are overridden.
fn guarded(output: &mut Output, batch: &Batch) -> io::Result<()> {
    let what = if batch.dry_run { "would stop" } else { "stopped" };
    output.field(what, Some(batch.stopped_count).filter(|count| *count > 0))?;
    for count in &batch.stopped_counts {
        output.field(what, Some(format_args!("{}: {}", Printable(&count.rule), count.run_count)))?;
    }
    if let Some(confirmed) = batch.confirmed_override_count {
        let guards = Printable(&batch.overridden_guards.join(", ")).to_string();
        output.field("overrides", Some(format_args!("{guards}: {} of {confirmed}", batch.override_count)))?;
    }
    Ok(())
}
