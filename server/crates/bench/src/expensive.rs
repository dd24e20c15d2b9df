//! Expensive calls, by many callers at once, beside the cheap calls of another caller.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use category_mirror::{
    commands::CommandError,
    store::{self, Spread, Store},
};
use category_mirror_client::{Client, Code, Error, PlatformCategoryImport, RetryPolicy, Strategy, TenantImport};
use futures::future::BoxFuture;
use serde_json::json;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    environment::{BenchEnvironment, Service},
    in_process::in_process,
    load::{measure, percentile_ms},
    report::{report, rounded},
};

/// Days of history.
const DAYS: i32 = 90;
/// Google's lists, and categories of each.
const LISTS: (i32, i32) = (10, 4_000);
/// Items of an import: as many as one may have.
const ITEMS: usize = 5_000;
/// Between two calls of the other caller, and between two looks at the health.
const CALL_DELAY: Duration = Duration::from_millis(10);

/// An expensive call, by its name.
type Call = (&'static str, fn(Client) -> BoxFuture<'static, Result<(), Error>>);

/// The most expensive form of each method that is not a look-up by a key.
const CALLS: [Call; 16] = [
    ("SearchCategories, 200 characters", |client| search(client, "store restaurant service ".repeat(8))),
    ("SearchCategories, a letter", |client| search(client, "e".to_owned())),
    ("SearchCategories, all", |client| search(client, String::new())),
    ("ListMappingSuggestions", |client| {
        let list = client.list_mapping_suggestions("US", "en").match_count(10).page_size(1000);
        Box::pin(async move { list.send().next().await.transpose().map(drop) })
    }),
    ("ListPlatformCategories, unmapped", |client| {
        let list = client.list_platform_categories().unmapped_only(true).page_size(1000);
        Box::pin(async move { list.send().next().await.transpose().map(drop) })
    }),
    ("ListTenants, 1000", |client| {
        Box::pin(async move { client.list_tenants().page_size(1000).send().next().await.transpose().map(drop) })
    }),
    ("ListTenants of an organization", |client| {
        let list = client.list_tenants().organization("org-2").page_size(1000);
        Box::pin(async move { list.send().next().await.transpose().map(drop) })
    }),
    ("ListTenantSyncs of an organization", |client| {
        let list = client.list_tenant_syncs().organization("org-2").page_size(1000);
        Box::pin(async move { list.send().next().await.transpose().map(drop) })
    }),
    ("ListSyncLogs of a caller who never was", |client| {
        Box::pin(async move { client.list_sync_logs().caller("nobody").send().next().await.transpose().map(drop) })
    }),
    ("ListSyncLogs of an organization, out of sync", |client| {
        let list = client.list_sync_logs().organization("org-2").out_of_sync_only().page_size(1000);
        Box::pin(async move { list.send().next().await.transpose().map(drop) })
    }),
    ("GetSyncStats, 90 d", |client| stats(client, None)),
    ("GetSyncStats, 90 d, a tenant with half of all runs", |client| stats(client, Some("tenant-0"))),
    ("ImportTenants, 5000", |client| {
        let items = (0..ITEMS).map(|n| {
            let tenant = TenantImport::new(format!("bench-{n}")).display_name("Another name").region_code("US");
            tenant.language_code("en").categories("cafe", ["bakery"])
        });
        let import = client.import_tenants(items).validate_only(true);
        Box::pin(async move { import.send().await.map(drop) })
    }),
    ("ImportPlatformCategories, 5000", |client| {
        let items = (0..ITEMS).map(|n| PlatformCategoryImport::new(format!("bench-{n}")).display_name("Another name"));
        let import = client.import_platform_categories(items).validate_only(true);
        Box::pin(async move { import.send().await.map(drop) })
    }),
    ("MirrorCategories, every tenant, another number confirmed", |client| {
        let batch = client.mirror_all(Strategy::PlatformToGbp, 1).dry_run(true);
        Box::pin(async move {
            match batch.send().await {
                Err(error) if error.reason() == Some("CONFIRMATION_MISMATCH") => Ok(()),
                sent => sent.map(drop),
            }
        })
    }),
    ("ListBatches", |client| {
        Box::pin(async move { client.list_batches().page_size(1000).send().next().await.transpose().map(drop) })
    }),
];

fn search(client: Client, query: String) -> BoxFuture<'static, Result<(), Error>> {
    let query: String = query.chars().take(200).collect();
    let search = client.search_categories(query, "US", "en").page_size(1000);
    Box::pin(async move { search.send().next().await.transpose().map(drop) })
}

fn stats(client: Client, tenant: Option<&'static str>) -> BoxFuture<'static, Result<(), Error>> {
    let stats = client.get_sync_stats().window(Duration::from_secs(90 * 24 * 3600));
    let stats = tenant.into_iter().fold(stats, |stats, tenant| stats.tenant(tenant));
    Box::pin(async move { stats.send().await.map(drop) })
}

/// Measures each call by one caller, and then by `callers`, of as many subjects or of one.
pub(crate) async fn run(
    environment: &BenchEnvironment,
    callers: usize,
    sizes: Sizes,
    window: Duration,
) -> Result<(), CommandError> {
    let failed = |error: category_mirror::error::Error| CommandError::failed("cannot fill the database", error);
    fill(environment, sizes).await.map_err(failed)?;
    let service = environment.serve(10, in_process(Duration::ZERO, |_| {})?).await?;
    let other = environment.client_of(&service, "other")?;
    other.list_tenants().send().next().await;
    let stop = CancellationToken::new();
    let quiet = tokio::spawn(beside(other.clone(), stop.clone()));
    sleep(window).await;
    stop.cancel();
    let (quiet, _) = quiet.await.map_err(|error| CommandError::failed("a task broke off", error))?;
    for (name, call) in CALLS {
        let alone = crowd(environment, &service, 1, 1, window / 4, call).await?;
        for subjects in [callers, 1] {
            let stop = CancellationToken::new();
            let beside = tokio::spawn(beside(other.clone(), stop.clone()));
            let health = tokio::spawn(unhealthy(service.admin.to_string(), stop.clone()));
            let crowd = crowd(environment, &service, callers, subjects, window, call).await?;
            stop.cancel();
            let failed = |error| CommandError::failed("a task broke off", error);
            let (beside, failures) = beside.await.map_err(failed)?;
            report(&json!({
                "bench": "expensive",
                "call": name,
                "callers": callers,
                "subjects": subjects,
                "alone_p50_ms": rounded(alone.measured.percentile_ms(50)),
                "alone_max_ms": rounded(alone.measured.percentile_ms(100)),
                "answered_a_second": rounded(crowd.measured.per_second()),
                "p99_ms": rounded(crowd.measured.percentile_ms(99)),
                "refused": crowd.refused,
                "failed": crowd.failed + alone.failed,
                "list_tenants_quiet_p99_ms": rounded(percentile_ms(&quiet, 99)),
                "list_tenants_calls": beside.len(),
                "list_tenants_failed": failures,
                "list_tenants_p50_ms": rounded(percentile_ms(&beside, 50)),
                "list_tenants_p99_ms": rounded(percentile_ms(&beside, 99)),
                "list_tenants_max_ms": rounded(percentile_ms(&beside, 100)),
                "health_not_serving": health.await.map_err(failed)?,
            }))?;
        }
    }
    service.stop().await;
    Ok(())
}

/// How much there is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) platform_categories: i32,
    pub(crate) runs: i32,
}

async fn fill(environment: &BenchEnvironment, sizes: Sizes) -> Result<(), category_mirror::error::Error> {
    let (locales, listed) = LISTS;
    store::fill_catalog(&environment.pool, locales, listed, sizes.platform_categories).await?;
    let store = Store::new(environment.pool.clone());
    store.drop_history(None, store::Retention { all: Duration::ZERO, failed: Duration::ZERO }).await?;
    for day in (1..=DAYS).rev() {
        store::fill_history(&environment.pool, day, sizes.runs / DAYS, Spread::Skewed).await?;
        store::count_history(&environment.pool, day).await?;
    }
    while store.compact_rollup_deltas(10_000).await? > 0 {}
    while store.roll_up_day(None).await? {}
    store.prepare_history(None).await?;
    store::clear_up(&environment.pool).await?;
    Ok(())
}

/// What a crowd of callers got.
struct Crowd {
    measured: super::load::Measured,
    refused: usize,
    failed: usize,
}

async fn crowd(
    environment: &BenchEnvironment,
    service: &Service,
    callers: usize,
    subjects: usize,
    window: Duration,
    call: fn(Client) -> BoxFuture<'static, Result<(), Error>>,
) -> Result<Crowd, CommandError> {
    let clients = (0..callers).map(|caller| environment.client_of(service, &format!("caller-{}", caller % subjects)));
    let clients: Arc<[Client]> = clients.collect::<Result<_, _>>()?;
    let counts: Arc<[AtomicUsize; 2]> = Arc::default();
    let counting = counts.clone();
    let measured = measure(callers, window, move |caller, _| {
        let (client, counts) = (clients[caller].clone(), counting.clone());
        async move {
            let Err(error) = call(client).await else { return };
            let is_refused = error.code() == Code::ResourceExhausted;
            let nth = counts[usize::from(!is_refused)].fetch_add(1, Ordering::Relaxed);
            if nth == 0 && !is_refused {
                tracing::warn!(%error, "an expensive call failed");
            }
        }
    })
    .await;
    let [refused, failed] = [0, 1].map(|kind: usize| counts[kind].load(Ordering::Relaxed));
    Ok(Crowd { measured, refused, failed })
}

/// The waits of one caller of `ListTenants`, sorted, and how many calls failed.
async fn beside(client: Client, stop: CancellationToken) -> (Vec<Duration>, usize) {
    let (mut waits, mut failed) = (Vec::new(), 0);
    while !stop.is_cancelled() {
        let asked = Instant::now();
        let answer = client.list_tenants().send().next().await.transpose();
        waits.push(asked.elapsed());
        failed += usize::from(answer.is_err());
        sleep(CALL_DELAY).await;
    }
    waits.sort_unstable();
    (waits, failed)
}

/// How often the server said that it does not serve.
async fn unhealthy(admin: String, stop: CancellationToken) -> usize {
    let (http, mut unhealthy) = (reqwest::Client::new(), 0);
    while !stop.is_cancelled() {
        let answer = http.get(format!("http://{admin}/healthz")).send().await;
        unhealthy += usize::from(!answer.is_ok_and(|answer| answer.status().is_success()));
        sleep(CALL_DELAY).await;
    }
    unhealthy
}

impl BenchEnvironment {
    /// A client of a subject of its own, which shows what it is refused with.
    fn client_of(&self, service: &Service, subject: &str) -> Result<Client, CommandError> {
        let client =
            Client::builder(service.service_layers.url()).token(self.token_of(subject)?).retry(RetryPolicy::never());
        client.build().map_err(|error| CommandError::failed("client", error))
    }
}
