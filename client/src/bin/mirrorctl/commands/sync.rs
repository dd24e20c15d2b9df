//! Whether tenants are in sync, and decisions about them.

use std::io;

use category_mirror_client::{CategorySet, Client, Printable, TenantSync, TenantSyncDecisionResult};

use crate::{
    args,
    commands::run,
    exit::Exit,
    show::{
        list::List,
        output::Output,
        table::{Cell, Column},
    },
};

const SYNCS: [Column; 5] = [
    Column::whole("TENANT"),
    Column::whole("CAUSE"),
    Column::whole("SINCE"),
    Column::text("CONFLICT"),
    Column::optional("ORGANIZATION"),
];

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
    List { what: "tenants", columns: &SYNCS, limit: None, rows: &|output, sync| vec![row(output, sync)] }
        .show(output, request.send())
        .await
}

fn row(output: &Output, sync: &TenantSync) -> Vec<Cell> {
    vec![
        output.id(&sync.tenant).into(),
        sync.cause.into(),
        output.time(sync.cause_time).into(),
        if sync.in_conflict { "needs a decision".into() } else { "".into() },
        sync.organization.as_deref().map(|name| output.id(name)).unwrap_or_default().into(),
    ]
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
    output.time_field("since", sync.cause_time)?;
    output.time_field("observed", sync.observe_time)?;
    output.time_field("last success", sync.last_success_time)?;
    output.time_field("unknown since", sync.observe_failure_time)?;
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
    sync.overwrite_times.iter().try_for_each(|time| output.time_field("overwritten", Some(*time)))?;
    output.time_field("in conflict", sync.conflict_time)?;
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
