//! Lists and counts of runs.

use std::time::Duration;

use category_mirror_client::{Client, Items, Printable, Run, RunState, SyncStats};
use chrono::{TimeDelta, Utc};

use crate::{
    args::ListRunsArgs,
    commands::{failures, find},
    exit::Exit,
    show::{
        list::{List, page_size},
        output::Output,
        table::{Cell, Column},
    },
};

const RUNS: [Column; 8] = [
    Column::whole("RUN"),
    Column::whole("TIME"),
    Column::whole("STATE"),
    Column::whole("TENANT"),
    Column::text("REASON"),
    Column::optional("CHANGES"),
    Column::optional("STRATEGY"),
    Column::optional("CALLER"),
];

pub(crate) async fn list(client: &Client, output: &mut Output, filter: ListRunsArgs) -> Result<(), Exit> {
    let limit = filter.limit;
    let runs = filtered(client, filter).await?;
    List { what: "runs", columns: &RUNS, limit: Some(limit), rows: &|output, run| vec![row(output, run)] }
        .show(output, runs)
        .await
}

async fn filtered(client: &Client, filter: ListRunsArgs) -> Result<Items<Run>, Exit> {
    let mut request = client.list_sync_logs().page_size(page_size(filter.limit));
    if let Some(tenant) = filter.tenant {
        request = request.tenant(tenant);
    }
    if let Some(strategy) = filter.strategy {
        request = request.strategy(strategy);
    }
    if let Some(organization) = filter.organization {
        request = request.organization(organization);
    }
    if let Some(batch) = filter.batch {
        request = request.batch(find::batch(client, batch).await?);
    }
    for state in filter.state {
        request = request.state(state);
    }
    if let Some(dry_run) = filter.dry_run {
        request = request.dry_run(dry_run);
    }
    if let Some(reason) = filter.reason {
        request = request.reason(reason);
    }
    if let Some(caller) = filter.caller {
        request = request.caller(caller);
    }
    if let Some(since) = filter.since.and_then(|since| Utc::now().checked_sub_signed(TimeDelta::from_std(since).ok()?))
    {
        request = request.accepted_from(since);
    }
    if filter.out_of_sync {
        request = request.out_of_sync_only();
    }
    Ok(request.send())
}

fn row(output: &Output, run: &Run) -> Vec<Cell> {
    vec![
        output.id(&run.name).into(),
        output.time(run.end_time.or(run.start_time).or(run.create_time)).into(),
        output.state(run),
        output.id(&run.tenant).into(),
        Printable(run.reason.as_deref().unwrap_or_default()).into(),
        run.counts.into(),
        run.strategy.into(),
        Printable(&run.caller).into(),
    ]
}

pub(crate) async fn stats(
    client: &Client,
    output: &mut Output,
    tenant: Option<String>,
    organization: Option<String>,
    window: Duration,
) -> Result<(), Exit> {
    let mut request = client.get_sync_stats().window(window);
    let mut failed = client.list_sync_logs().state(RunState::Failed).dry_run(false);
    if let Some(tenant) = tenant {
        request = request.tenant(tenant.clone());
        failed = failed.tenant(tenant);
    }
    if let Some(organization) = organization {
        request = request.organization(organization.clone());
        failed = failed.organization(organization);
    }
    let stats = request.send().await?;
    output.show(&stats, |output| counts(output, &stats))?;
    // A run that a guard stopped has its own line above.
    let reasons: Vec<_> = stats.failure_counts.iter().filter(|count| count.reason != "GUARD").collect();
    failures::show(output, &reasons, &stats.recent_failures, &failed).await
}

fn counts(output: &mut Output, stats: &SyncStats) -> std::io::Result<()> {
    let rate = stats.success_rate_percent.map(|percent| format!("{percent:.1} %"));
    output.field("runs", Some(stats.total_runs))?;
    output.field("succeeded", Some(stats.succeeded_runs))?;
    output.field("failed", Some(stats.failed_runs - stats.guard_stopped_runs))?;
    output.field("guard stopped", Some(stats.guard_stopped_runs))?;
    output.field("skipped", Some(stats.skipped_runs))?;
    output.field("cancelled", Some(stats.cancelled_runs))?;
    output.field("live", Some(stats.live_runs))?;
    output.field("dry runs", Some(stats.dry_runs))?;
    output.field("differed", Some(format_args!("{} runs found differences", stats.out_of_sync_runs)))?;
    output.field("out of sync", Some(format_args!("{} tenants now", stats.out_of_sync_tenants)))?;
    output.field("success rate", Some(rate.as_deref().unwrap_or("no run has succeeded or failed")))?;
    let shown = |duration: Option<Duration>| duration.map(|duration| format!("{:.3} s", duration.as_secs_f64()));
    output.field("half within", shown(stats.duration_p50))?;
    output.field("95 % within", shown(stats.duration_p95))
}
