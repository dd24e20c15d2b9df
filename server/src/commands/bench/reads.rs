//! What operators ask of a long history, beside the same of a short one.

use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::json;

use super::{ground::Ground, report, rounded};
use crate::{
    commands::CommandError,
    domain::{OrganizationId, RunId, RunState, Strategy, TenantId},
    error::Error,
    store::{self, LogFilter, Store},
};

/// Days of history.
const DAYS: i32 = 90;
/// Runs of the short history.
const FEW: i32 = 10_000;
/// Runs before the page in the middle of a list.
const DEEP: i64 = 1_000_000;
/// How often each question is asked.
const TIMES: usize = 101;
/// Runs of a page, and one more.
const PAGE: i64 = 51;
/// How many days are filled at once.
const FILLERS: usize = 2;

/// Something to ask, by its name.
type Question = (String, Asked);

/// What is asked.
enum Asked {
    Stats(LogFilter, Duration),
    Logs(LogFilter, Option<RunId>),
}

/// Measures.
pub(super) async fn run(ground: &Ground, rows: u32) -> Result<(), CommandError> {
    let rows = i32::try_from(rows).unwrap_or(i32::MAX);
    let few = measure(ground, FEW).await?;
    let many = measure(ground, rows).await?;
    for (name, ms) in many {
        // A page further down is compared with the first one.
        let first = name.replace(", after 1,000,000 rows", "");
        let before = few.iter().find(|(other, _)| *other == first).map_or(f64::NAN, |(_, ms)| *ms);
        report(&json!({
            "bench": "reads",
            "call": name,
            "rows": rows,
            "p50_ms": rounded(ms),
            "p50_ms_at_10000_rows": rounded(before),
            "ratio": rounded(ms / before),
        }));
    }
    Ok(())
}

async fn measure(ground: &Ground, rows: i32) -> Result<Vec<(String, f64)>, CommandError> {
    let failed = |error: &dyn std::fmt::Display| CommandError::failed("cannot measure", error);
    fill(ground, rows).await.map_err(|error| failed(&error))?;
    let store = Store::new(ground.pool.clone());
    let deep = store::row_after(&ground.pool, DEEP).await.map_err(|error| failed(&error))?;
    let mut measured = Vec::new();
    for (name, asked) in questions(deep) {
        let mut times = Vec::with_capacity(TIMES);
        for _ in 0..TIMES {
            let began = Instant::now();
            match &asked {
                Asked::Stats(filter, window) => drop(store.stats(None, filter, *window).await.map_err(|e| failed(&e))?),
                Asked::Logs(filter, before) => drop(store.logs(filter, *before, PAGE).await.map_err(|e| failed(&e))?),
            }
            times.push(began.elapsed());
        }
        times.sort_unstable();
        measured.push((name, times[TIMES / 2].as_secs_f64() * 1000.0));
    }
    Ok(measured)
}

async fn fill(ground: &Ground, rows: i32) -> Result<(), Error> {
    store::sweep(&ground.pool).await?;
    let store = Store::new(ground.pool.clone());
    stream::iter((1..=DAYS).rev())
        .map(|day| async move {
            store::fill_history(&ground.pool, day, rows / DAYS).await?;
            store::count_history(&ground.pool, day).await
        })
        .buffered(FILLERS)
        .try_collect::<Vec<()>>()
        .await?;
    while store.fold_rollups(1_000).await? > 0 {}
    store::analyze(&ground.pool).await?;
    Ok(())
}

fn questions(deep: RunId) -> Vec<Question> {
    let none = LogFilter::default;
    let tenant = || TenantId::parse("tenant-4242").ok();
    let organization = || OrganizationId::parse("org-42").ok();
    let mut questions = Vec::new();
    let scopes = [
        ("all", none()),
        ("an organization", LogFilter { organization: organization(), ..none() }),
        ("a tenant", LogFilter { tenant: tenant(), ..none() }),
    ];
    for (scope, filter) in scopes {
        for days in [1, 90] {
            let window = Duration::from_secs(days * 24 * 3600);
            questions.push((format!("GetSyncStats {days} d, {scope}"), Asked::Stats(filter.clone(), window)));
        }
    }
    let failed = vec![RunState::Failed];
    let filters = [
        ("no filter", none()),
        ("tenant", LogFilter { tenant: tenant(), ..none() }),
        ("organization", LogFilter { organization: organization(), ..none() }),
        ("strategy", LogFilter { strategy: Some(Strategy::GbpToPlatform), ..none() }),
        ("state", LogFilter { states: failed.clone(), ..none() }),
        ("dry run", LogFilter { dry_run: Some(true), ..none() }),
        ("reason", LogFilter { reason: Some("EMPTY_SOURCE".to_owned()), ..none() }),
        ("caller", LogFilter { caller: Some("caller-7".to_owned()), ..none() }),
        ("time range", LogFilter { accepted_from: Some(Utc::now() - TimeDelta::days(60)), ..none() }),
        ("out of sync", LogFilter { out_of_sync: true, ..none() }),
        ("organization and state", LogFilter { organization: organization(), states: failed.clone(), ..none() }),
        ("tenant and state", LogFilter { tenant: tenant(), states: failed, ..none() }),
    ];
    for (name, filter) in filters {
        questions.push((format!("ListSyncLogs, {name}"), Asked::Logs(filter.clone(), None)));
        questions.push((format!("ListSyncLogs, {name}, after 1,000,000 rows"), Asked::Logs(filter, Some(deep))));
    }
    questions
}
