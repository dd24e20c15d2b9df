//! What operators ask of a long history, beside the same of a short one.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::json;

use super::{ground::Ground, load::percentile_ms, report, rounded};
use crate::{
    commands::CommandError,
    domain::{BatchId, OrganizationId, RunId, RunState, Strategy, TenantId},
    error::Error,
    store::{self, LogFilter, Retention, Room, Store},
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

/// Minutes of a day: how many of a day's runs end in the last minute.
const MINUTES: i32 = 24 * 60;
/// A day.
const DAY: Duration = Duration::from_secs(24 * 3600);

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
    drop_a_day(ground, rows).await.map_err(|error| CommandError::failed("cannot drop a day", error))
}

async fn measure(ground: &Ground, rows: i32) -> Result<Vec<(String, f64)>, CommandError> {
    let failed = |error: &dyn std::fmt::Display| CommandError::failed("cannot measure", error);
    fill(ground, rows).await.map_err(|error| failed(&error))?;
    let store = Store::new(ground.pool.clone());
    let deep = store::row_after(&ground.pool, DEEP).await.map_err(|error| failed(&error))?;
    // Failures have to be told of in either history.
    let (tenant, organization) = store::who_failed(&ground.pool).await.map_err(|error| failed(&error))?;
    let questions = questions(deep, &tenant, &organization);
    let mut times = vec![Vec::with_capacity(TIMES); questions.len()];
    // In turns: a second in which the machine has something else to do is not to fall on one of them alone.
    for _ in 0..TIMES {
        for ((_, asked), times) in questions.iter().zip(&mut times) {
            let began = Instant::now();
            match asked {
                Asked::Stats(filter, window) => drop(store.stats(None, filter, *window).await.map_err(|e| failed(&e))?),
                Asked::Logs(filter, before) => drop(store.logs(filter, *before, PAGE).await.map_err(|e| failed(&e))?),
            }
            times.push(began.elapsed());
        }
    }
    times.iter_mut().for_each(|times| times.sort_unstable());
    Ok(questions.into_iter().zip(times).map(|((name, _), times)| (name, percentile_ms(&times, 50))).collect())
}

async fn fill(ground: &Ground, rows: i32) -> Result<(), Error> {
    store::sweep(&ground.pool).await?;
    let store = Store::new(ground.pool.clone());
    store.drop_history(None, Retention { all: Duration::ZERO, failed: Duration::ZERO }).await?;
    stream::iter((1..=DAYS).rev())
        .map(|day| async move {
            store::fill_history(&ground.pool, day, rows / DAYS).await?;
            store::count_history(&ground.pool, day).await
        })
        .buffered(FILLERS)
        .try_collect::<Vec<()>>()
        .await?;
    // What a server does meanwhile, and PostgreSQL.
    while store.fold_rollups(10_000).await? > 0 {}
    while store.count_day(None).await? {}
    store::clear_up(&ground.pool).await?;
    // The writing that filled it is over.
    store::checkpoint(&ground.pool).await?;
    // The last minute's ends are not summed up yet.
    for tenant in 0..(rows / DAYS / MINUTES).max(1) {
        store::end_one(&ground.pool, tenant).await?;
    }
    Ok(())
}

/// Drops the oldest day, while claims go on beside it.
async fn drop_a_day(ground: &Ground, rows: i32) -> Result<(), Error> {
    let store = Store::new(ground.pool.clone());
    let keep = DAY * u32::try_from(DAYS - 1).unwrap_or_default();
    let claim = async || -> Result<Duration, Error> {
        let began = Instant::now();
        store.claim(None, Room::of(1), DAY).await?;
        Ok(began.elapsed())
    };
    claim().await?;
    let began = Instant::now();
    let mut dropping = std::pin::pin!(store.drop_history(None, Retention { all: keep, failed: keep }));
    let mut claims = Vec::new();
    let days = loop {
        tokio::select! {
            dropped = &mut dropping => break dropped?,
            claimed = claim() => claims.push(claimed?),
        }
    };
    let took = began.elapsed();
    claims.sort_unstable();
    report(&json!({
        "bench": "reads",
        "call": "a day of history dropped",
        "rows": rows,
        "days": days,
        "rows_of_a_day": rows / DAYS,
        "took_ms": rounded(took.as_secs_f64() * 1000.0),
        "claims_beside_it": claims.len(),
        "slowest_claim_ms": claims.last().map(|slowest| rounded(slowest.as_secs_f64() * 1000.0)),
    }));
    Ok(())
}

fn questions(deep: RunId, tenant: &str, organization: &str) -> Vec<Question> {
    let none = LogFilter::default;
    let tenant = || TenantId::parse(tenant).ok();
    let organization = || OrganizationId::parse(organization).ok();
    let caller = || Some("caller-7".to_owned());
    let days_ago = |days| -> Option<DateTime<Utc>> { Some(Utc::now() - TimeDelta::days(days)) };
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
        ("caller", LogFilter { caller: caller(), ..none() }),
        ("batch", LogFilter { batch: Some(BatchId::from_u128(42)), ..none() }),
        ("time range", LogFilter { accepted_from: days_ago(60), accepted_before: days_ago(2), ..none() }),
        ("out of sync", LogFilter { out_of_sync: true, ..none() }),
        ("organization and state", LogFilter { organization: organization(), states: failed.clone(), ..none() }),
        ("organization and out of sync", LogFilter { organization: organization(), out_of_sync: true, ..none() }),
        ("caller and strategy", LogFilter { caller: caller(), strategy: Some(Strategy::GbpToPlatform), ..none() }),
        ("tenant and state", LogFilter { tenant: tenant(), states: failed, ..none() }),
        ("tenant and dry run", LogFilter { tenant: tenant(), dry_run: Some(true), ..none() }),
        ("tenant and time range", LogFilter { tenant: tenant(), accepted_from: days_ago(60), ..none() }),
    ];
    for (name, filter) in filters {
        questions.push((format!("ListSyncLogs, {name}"), Asked::Logs(filter.clone(), None)));
        questions.push((format!("ListSyncLogs, {name}, after 1,000,000 rows"), Asked::Logs(filter, Some(deep))));
    }
    questions
}
