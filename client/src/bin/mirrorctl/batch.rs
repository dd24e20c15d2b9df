//! Creating, watching, showing and cancelling batches.

use std::io;

use category_mirror_client::{Batch, Client, Printable};

use crate::{args, exit::Exit, output::Output, run::summary};

pub(crate) async fn batch(client: &Client, output: &mut Output, command: args::BatchCommand) -> Result<(), Exit> {
    let batch = match command {
        args::BatchCommand::Create(args) => {
            let wait = args.wait;
            let batch = create(client, args).await?;
            output.show(&batch, |output| details(output, &batch))?;
            return if wait { watch_one(client, output, batch.name).await } else { Ok(()) };
        }
        args::BatchCommand::List { limit } => return list(client, output, limit).await,
        args::BatchCommand::Watch { batch } => return watch_one(client, output, batch).await,
        args::BatchCommand::Get { batch } => client.get_batch(batch).send().await?,
        args::BatchCommand::Cancel { batch } => client.cancel_batch(batch).send().await?,
    };
    Ok(output.show(&batch, |output| details(output, &batch))?)
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
    let page_size = u16::try_from(limit.clamp(1, 1000)).expect("at most 1000");
    let mut batches = client.list_batches().page_size(page_size).send();
    for _ in 0..limit {
        let Some(batch) = batches.next().await else { break };
        let batch = batch?;
        output.show(&batch, |output| {
            let over = batch.tenant_count - batch.pending_count - batch.queued_count - batch.running_count;
            let name = Printable(&batch.name);
            output.line(format_args!("{name}  {:10}  {over} of {} over", batch.state, batch.tenant_count))
        })?;
    }
    Ok(())
}

/// Each run as it changes, and what it came to.
async fn watch_one(client: &Client, output: &mut Output, batch: String) -> Result<(), Exit> {
    let mut snapshots = client.watch_batch(batch.clone()).send();
    while let Some(run) = snapshots.next().await {
        let run = run?;
        output.show(&run, |output| summary(output, &run))?;
    }
    let batch = client.get_batch(batch).send().await?;
    output.show(&batch, |output| details(output, &batch))?;
    if batch.failed_count + batch.skipped_count + batch.cancelled_count == 0 {
        Ok(())
    } else {
        Err(Exit::RunNotSucceeded)
    }
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
    let changes = batch.change_counts;
    output.field("changes", Some(format_args!("+{} ~{} -{}", changes.created, changes.updated, changes.deleted)))?;
    for guard in batch.guards.iter().filter(|guard| guard.exceeded) {
        let limit = guard.limit.unwrap_or_default();
        output.field("guard", Some(format_args!("{}: {} of at most {limit}", Printable(&guard.rule), guard.value)))?;
    }
    guarded(output, batch)?;
    output.field("caller", Some(Printable(&batch.caller)))?;
    output.field("accepted", batch.create_time)?;
    output.field("ended", batch.end_time)
}

/// What the guards of runs stop, what they are overridden for, and why runs failed.
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
    for count in &batch.failure_counts {
        output.field("failed by", Some(format_args!("{}: {}", Printable(&count.reason), count.run_count)))?;
    }
    Ok(())
}
