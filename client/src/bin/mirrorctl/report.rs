//! Lists and counts of runs.

use std::time::Duration;

use category_mirror_client::{Client, FailureCount, Printable};
use chrono::{TimeDelta, Utc};

use crate::{args::ListRunsArgs, exit::Exit, output::Output, run::summary};

pub(crate) async fn list(client: &Client, output: &mut Output, filter: ListRunsArgs) -> Result<(), Exit> {
    // No page need hold more than what is shown; the server takes 1000 at most.
    let page_size = u16::try_from(filter.limit.clamp(1, 1000)).expect("at most 1000");
    let mut request = client.list_sync_logs().page_size(page_size);
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
        request = request.batch(batch);
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
    let mut runs = request.send();
    for _ in 0..filter.limit {
        let Some(run) = runs.next().await else { break };
        let run = run?;
        output.show(&run, |output| summary(output, &run))?;
    }
    Ok(())
}

pub(crate) async fn stats(
    client: &Client,
    output: &mut Output,
    tenant: Option<String>,
    organization: Option<String>,
    window: Duration,
) -> Result<(), Exit> {
    let mut request = client.get_sync_stats().window(window);
    if let Some(tenant) = tenant {
        request = request.tenant(tenant);
    }
    if let Some(organization) = organization {
        request = request.organization(organization);
    }
    let stats = request.send().await?;
    let text = |output: &mut Output| {
        let rate = stats.success_rate_percent.map(|percent| format!("{percent:.1} %"));
        output.field("runs", Some(stats.total_runs))?;
        output.field("succeeded", Some(stats.succeeded_runs))?;
        output.field("failed", Some(stats.failed_runs - stats.guard_stopped_runs))?;
        output.field("guard stopped", Some(stats.guard_stopped_runs))?;
        output.field("skipped", Some(stats.skipped_runs))?;
        output.field("cancelled", Some(stats.cancelled_runs))?;
        output.field("live", Some(stats.live_runs))?;
        output.field("dry runs", Some(stats.dry_runs))?;
        output.field("out of sync", Some(stats.out_of_sync_runs))?;
        output.field("tenants out", Some(stats.out_of_sync_tenants))?;
        output.field("success rate", Some(rate.as_deref().unwrap_or("nothing to divide")))?;
        let shown = |duration: Option<Duration>| duration.map(|duration| format!("{:.3} s", duration.as_secs_f64()));
        output.field("p50", shown(stats.duration_p50))?;
        output.field("p95", shown(stats.duration_p95))?;
        // What a guard stopped has its own line above.
        for FailureCount { reason, run_count: runs, .. } in
            stats.failure_counts.iter().filter(|count| count.reason != "GUARD")
        {
            output.field("failed for", Some(format_args!("{}: {runs}", Printable(reason))))?;
        }
        stats.recent_failures.iter().try_for_each(|run| summary(output, run))
    };
    Ok(output.show(&stats, text)?)
}
