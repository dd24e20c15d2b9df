//! What operators ask of a long history, beside the same of a short one.

use std::time::{Duration, Instant};

use category_mirror::{
    commands::CommandError,
    domain::{BatchId, OrganizationId, RunFilter, RunId, RunState, Strategy, TenantId},
    error::Error,
    store::{self, ClaimLimits, Retention, Spread, Store},
};
use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::{
    args::RunSpread,
    environment::BenchEnvironment,
    load::percentile_ms,
    report::{report, rounded},
};

/// Days of history.
const DAYS: i32 = 90;
/// Runs of the short history.
const FEW: i32 = 10_000;
/// Runs before the page in the middle of a list.
const DEEP: i64 = 1_000_000;
const DEEPER: &str = ", after 1,000,000 rows";
/// A tenant that has few runs, also where another one has half of all.
const RARE: &str = "tenant-9999";
/// How often each question is asked.
const TIMES: usize = 101;
/// Runs of a page, and one more.
const PAGE_SIZE: i64 = 51;
/// How many days are filled at once.
const FILLERS: usize = 2;

/// Minutes of a day: how many of a day's runs end in the last minute.
const MINUTES: i32 = 24 * 60;
/// A day.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Something to ask, by its name.
type Question = (String, Read);

/// What asking one question of both histories has given. Times are p50 in milliseconds.
struct Answers {
    /// Of the short history and of the long one.
    ms: [f64; 2],
    /// Rows of the two pages that are compared, where it is a list.
    page: Option<[usize; 2]>,
    /// Of the long history, for a page of as many rows as the short one has. A filter that finds a page there may find a row or two here.
    same_page_ms: Option<f64>,
}

/// What is asked.
enum Read {
    Stats(RunFilter, Duration),
    Logs(RunFilter, Option<RunId>),
}

/// A history, and what is asked of it.
struct History {
    store: Store,
    questions: Vec<Question>,
}

/// Measures each size with each spread.
pub(crate) async fn run(
    environment: &BenchEnvironment,
    sizes: &[u32],
    spreads: &[RunSpread],
) -> Result<(), CommandError> {
    for spread in spreads {
        let (name, spread) = match spread {
            RunSpread::Even => ("even", Spread::Even),
            RunSpread::Skewed => ("skewed", Spread::Skewed),
        };
        let few = History::make(&environment.beside(&format!("few_{name}")).await?, FEW, spread).await?;
        for rows in sizes {
            let rows = i32::try_from(*rows).unwrap_or(i32::MAX);
            let many_name = format!("many_{name}_{rows}");
            let many = History::make(&environment.beside(&many_name).await?, rows, spread).await?;
            let failed = |error| CommandError::failed("cannot measure", error);
            report_times(&few, &many, in_turns(&few, &many).await.map_err(failed)?, rows, name)?;
            let dropped = drop_a_day(&many.store, rows, name).await;
            report(&dropped.map_err(|error| CommandError::failed("cannot drop a day", error))?)?;
            many.store.close().await;
            environment.drop_beside(&many_name).await?;
        }
        few.store.close().await;
    }
    Ok(())
}

fn report_times(
    few: &History,
    many: &History,
    answers: Vec<Answers>,
    rows: i32,
    spread: &str,
) -> Result<(), CommandError> {
    for (number, (name, _)) in many.questions.iter().enumerate() {
        let first = few.first_page_of(number);
        let (before, answer) = (answers[first].ms[0], &answers[number]);
        let mut figures = json!({
            "bench": "reads",
            "call": name,
            "rows": rows,
            "spread": spread,
            "p50_ms": rounded(answer.ms[1]),
            "p50_ms_at_10000_rows": rounded(before),
            "ratio": rounded(answer.ms[1] / before),
        });
        if let Some([page_before, page]) = answer.page {
            figures["page_rows"] = page.into();
            figures["page_rows_at_10000_rows"] = page_before.into();
        }
        if let Some(ms) = answer.same_page_ms {
            figures["same_page_p50_ms"] = rounded(ms).into();
            figures["same_page_ratio"] = rounded(ms / before).into();
        }
        report(&figures)?;
    }
    Ok(())
}

/// Asks each question of both histories, and then the next one: a second in which the machine has something else to do falls on all of
/// them.
async fn in_turns(few: &History, many: &History) -> Result<Vec<Answers>, Error> {
    let mut pages = Vec::new();
    for number in 0..few.questions.len() {
        pages.push([few.ask(few.first_page_of(number), PAGE_SIZE).await?, many.ask(number, PAGE_SIZE).await?]);
    }
    let mut times = vec![[const { Vec::new() }; 3]; few.questions.len()];
    for _ in 0..TIMES {
        for (number, [of_few, of_many, of_same_page]) in times.iter_mut().enumerate() {
            of_few.push(few.time(number, PAGE_SIZE).await?);
            of_many.push(many.time(number, PAGE_SIZE).await?);
            if let Some(limit) = same_page(pages[number]) {
                of_same_page.push(many.time(number, limit).await?);
            }
        }
    }
    let p50 = |mut times: Vec<Duration>| {
        times.sort_unstable();
        percentile_ms(&times, 50)
    };
    let answers = times.into_iter().zip(pages).map(|([of_few, of_many, of_same_page], pages)| Answers {
        ms: [p50(of_few), p50(of_many)],
        page: pages[0].zip(pages[1]).map(|(few, many)| [few, many]),
        same_page_ms: Some(of_same_page).filter(|times| !times.is_empty()).map(p50),
    });
    Ok(answers.collect())
}

/// The rows of the short history's page, where the long one's has more.
fn same_page(pages: [Option<usize>; 2]) -> Option<i64> {
    let [Some(few), Some(many)] = pages else { return None };
    i64::try_from(few.max(1)).ok().filter(|_| few < many)
}

impl History {
    /// The question that one is compared with: for a page further down, the same list's first page.
    fn first_page_of(&self, number: usize) -> usize {
        let name = &self.questions[number].0;
        let first = name.strip_suffix(DEEPER).unwrap_or(name);
        self.questions.iter().position(|(name, _)| name == first).unwrap_or(number)
    }

    /// Asks a question; the rows of the answer, where it is a list.
    async fn ask(&self, number: usize, limit: i64) -> Result<Option<usize>, Error> {
        match &self.questions[number].1 {
            Read::Stats(filter, window) => self.store.stats(None, filter, *window).await.map(|_| None),
            Read::Logs(filter, before) => {
                self.store.logs(filter, *before, limit).await.map(|found| Some(found.runs.len()))
            }
        }
    }

    async fn time(&self, number: usize, limit: i64) -> Result<Duration, Error> {
        let began = Instant::now();
        self.ask(number, limit).await?;
        Ok(began.elapsed())
    }

    async fn make(pool: &PgPool, rows: i32, spread: Spread) -> Result<Self, CommandError> {
        let made = async {
            fill(pool, rows, spread).await?;
            let deep = store::row_after(pool, DEEP).await?;
            // Failures have to be told of in either history.
            let (tenant, organization) = store::who_failed(pool).await?;
            Ok(Self { store: Store::new(pool.clone()), questions: questions(deep, &tenant, &organization) })
        };
        made.await.map_err(|error: Error| CommandError::failed("cannot make a history", error))
    }
}

async fn fill(pool: &PgPool, rows: i32, spread: Spread) -> Result<(), Error> {
    let store = Store::new(pool.clone());
    // A new database has some days already.
    store.drop_history(None, Retention { all: Duration::ZERO, failed: Duration::ZERO }).await?;
    stream::iter((1..=DAYS).rev())
        .map(|day| async move {
            store::fill_history(pool, day, rows / DAYS, spread).await?;
            store::count_history(pool, day).await
        })
        .buffered(FILLERS)
        .try_collect::<Vec<()>>()
        .await?;
    // What a server does meanwhile, and PostgreSQL.
    while store.compact_rollup_deltas(10_000).await? > 0 {}
    while store.roll_up_day(None).await? {}
    store::clear_up(pool).await?;
    // The writing that filled it is over.
    store::checkpoint(pool).await?;
    // The last minute's ends are not summed up yet. The first one fails, so that whoever is asked about has a failure within the day at any
    // hour, and a tenant that has half of all runs is the one.
    for tenant in 0..(rows / DAYS / MINUTES).max(1) {
        store::end_one(pool, tenant, tenant == 0).await?;
    }
    Ok(())
}

/// Drops the oldest day, while claims go on beside it.
async fn drop_a_day(store: &Store, rows: i32, spread: &str) -> Result<Value, Error> {
    let keep = DAY * u32::try_from(DAYS - 1).unwrap_or_default();
    let claim = async || -> Result<Duration, Error> {
        let began = Instant::now();
        store.claim(None, ClaimLimits::of(1), DAY).await?;
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
    Ok(json!({
        "bench": "reads",
        "call": "a day of history dropped",
        "rows": rows,
        "spread": spread,
        "days": days,
        "rows_of_a_day": rows / DAYS,
        "took_ms": rounded(took.as_secs_f64() * 1000.0),
        "claims_beside_it": claims.len(),
        "slowest_claim_ms": claims.last().map(|slowest| rounded(slowest.as_secs_f64() * 1000.0)),
    }))
}

fn questions(deep: RunId, tenant: &str, organization: &str) -> Vec<Question> {
    let none = RunFilter::default;
    let tenant = || TenantId::parse(tenant).ok();
    let organization = || OrganizationId::parse(organization).ok();
    let caller = || Some("caller-7".to_owned());
    let days_ago = |days| -> Option<DateTime<Utc>> { Some(Utc::now() - TimeDelta::days(days)) };
    let mut questions = Vec::new();
    let scopes = [
        ("all", none()),
        ("an organization", RunFilter { organization: organization(), ..none() }),
        ("a tenant", RunFilter { tenant: tenant(), ..none() }),
    ];
    for (scope, filter) in scopes {
        for days in [1, 90] {
            let window = Duration::from_secs(days * 24 * 3600);
            questions.push((format!("GetSyncStats {days} d, {scope}"), Read::Stats(filter.clone(), window)));
        }
    }
    let failed = vec![RunState::Failed];
    let filters = [
        ("no filter", none()),
        ("tenant", RunFilter { tenant: tenant(), ..none() }),
        ("a rare tenant", RunFilter { tenant: TenantId::parse(RARE).ok(), ..none() }),
        ("organization", RunFilter { organization: organization(), ..none() }),
        ("strategy", RunFilter { strategy: Some(Strategy::GbpToPlatform), ..none() }),
        ("state", RunFilter { states: failed.clone(), ..none() }),
        ("dry run", RunFilter { dry_run: Some(true), ..none() }),
        ("reason", RunFilter { reason: Some("EMPTY_SOURCE".to_owned()), ..none() }),
        ("caller", RunFilter { caller: caller(), ..none() }),
        ("batch", RunFilter { batch: Some(BatchId::from_u128(42)), ..none() }),
        ("time range", RunFilter { accepted_from: days_ago(60), accepted_before: days_ago(2), ..none() }),
        ("out of sync", RunFilter { out_of_sync: true, ..none() }),
        ("organization and state", RunFilter { organization: organization(), states: failed.clone(), ..none() }),
        ("organization and out of sync", RunFilter { organization: organization(), out_of_sync: true, ..none() }),
        ("caller and strategy", RunFilter { caller: caller(), strategy: Some(Strategy::GbpToPlatform), ..none() }),
        ("tenant and state", RunFilter { tenant: tenant(), states: failed, ..none() }),
        ("tenant and dry run", RunFilter { tenant: tenant(), dry_run: Some(true), ..none() }),
        ("tenant and time range", RunFilter { tenant: tenant(), accepted_from: days_ago(60), ..none() }),
    ];
    for (name, filter) in filters {
        questions.push((format!("ListSyncLogs, {name}"), Read::Logs(filter.clone(), None)));
        questions.push((format!("ListSyncLogs, {name}{DEEPER}"), Read::Logs(filter, Some(deep))));
    }
    questions
}
