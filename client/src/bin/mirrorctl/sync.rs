//! How tenants stand.

use std::io;

use category_mirror_client::{CategorySet, Client, Printable, TenantSync, TenantSyncDecisionResult};

use crate::{args, exit::Exit, output::Output, run};

pub(crate) async fn sync(client: &Client, output: &mut Output, command: args::SyncCommand) -> Result<(), Exit> {
    match command {
        args::SyncCommand::Get { tenant } => {
            let sync = client.get_tenant_sync(tenant).send().await?;
            Ok(output.show(&sync, |output| details(output, &sync))?)
        }
        args::SyncCommand::List(filter) => list(client, output, filter).await,
        args::SyncCommand::Decide { tenant, decision, reason, override_guards, wait } => {
            let request = client.decide_tenant_sync(tenant, decision, reason).override_guards(override_guards);
            let decided = request.send().await?;
            show_decided(client, output, decided, wait).await
        }
    }
}

async fn list(client: &Client, output: &mut Output, filter: args::ListSyncsArgs) -> Result<(), Exit> {
    let mut request = client.list_tenant_syncs();
    for cause in filter.cause {
        request = request.cause(cause);
    }
    if let Some(organization) = filter.organization {
        request = request.organization(organization);
    }
    if filter.in_conflict {
        request = request.in_conflict_only();
    }
    if filter.out_of_sync {
        request = request.out_of_sync_only();
    }
    let mut syncs = request.send();
    while let Some(sync) = syncs.next().await {
        let sync = sync?;
        output.show(&sync, |output| {
            let name = Printable(&sync.tenant).to_string();
            let since = sync.cause_time.map(|time| time.to_rfc3339()).unwrap_or_default();
            let conflict = if sync.in_conflict { "  in conflict" } else { "" };
            output.line(format_args!("{name:<32}  {:<20}  {since}{conflict}", sync.cause))
        })?;
    }
    Ok(())
}

async fn show_decided(
    client: &Client,
    output: &mut Output,
    decided: TenantSyncDecisionResult,
    wait: bool,
) -> Result<(), Exit> {
    match decided.run {
        Some(started) if wait => run::watch_one(output, client.watch_run(started.name).send()).await,
        _ => {
            let text = |output: &mut Output| {
                details(output, &decided.tenant_sync)?;
                output.field("run", decided.run.as_ref().map(|run| Printable(&run.name)))
            };
            Ok(output.show(&decided, text)?)
        }
    }
}

fn details(output: &mut Output, sync: &TenantSync) -> io::Result<()> {
    output.field("tenant", Some(Printable(&sync.tenant)))?;
    output.field("cause", Some(sync.cause))?;
    output.field("since", sync.cause_time)?;
    output.field("observed", sync.observe_time)?;
    output.field("last success", sync.last_success_time)?;
    output.field("failed look", sync.observe_failure_time)?;
    for (what, set) in [
        ("wanted", &sync.desired),
        ("written", &sync.written),
        ("merchant", &sync.merchant),
        ("public", &sync.public),
        ("in review", &sync.in_review),
    ] {
        output.field(what, set.as_ref().map(shown))?;
    }
    output.field("problem", sync.desired_error.as_deref().map(Printable))?;
    sync.retired_categories.iter().try_for_each(|name| output.field("retired", Some(Printable(name))))?;
    sync.location_issues
        .iter()
        .try_for_each(|issue| output.field("location", Some(format_args!("{issue}: {}", issue.meaning()))))?;
    sync.overwrite_times.iter().try_for_each(|time| output.field("changed back", Some(time)))?;
    output.field("in conflict", sync.conflict_time)?;
    let decided = sync.decision.as_ref().map(|decided| {
        format!("{} by {}: {}", decided.decision, Printable(&decided.caller), Printable(&decided.reason))
    });
    output.field("decided", decided)?;
    let Some(run) = sync.decision.as_ref().and_then(|decided| decided.run.as_deref()) else { return Ok(()) };
    output.field("executed by", Some(Printable(run)))?;
    let state = sync.decision.as_ref().map(|decided| {
        let reason = decided.run_reason.as_deref().map(|reason| format!(": {}", Printable(reason))).unwrap_or_default();
        format!("{}{reason}", decided.state)
    });
    output.field("decision", state)
}

/// The primary category, and the others.
fn shown(set: &CategorySet) -> String {
    let names = set.primary.iter().chain(&set.additional).map(ToString::to_string);
    Printable(&names.collect::<Vec<_>>().join(", ")).to_string()
}
