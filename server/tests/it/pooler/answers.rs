//! Every answer is that to the question, however many callers share few sessions.

use std::{
    env,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use category_mirror_client::{Client, Code, Error, RunState, Strategy, TenantImport};
use futures::{StreamExt, stream};

use super::is_installed;
use crate::service::{self, Service};

/// More than there are connections, and far more than sessions.
const CALLERS: usize = 32;
const TENANTS: usize = 60;
const CHAINS: usize = 6;
/// The promise, by hand: `POOLER_CALLS=10000 cargo test -p category-mirror-server --test it -- pooler::answers`.
const CALLS: u64 = 600;

fn calls() -> u64 {
    env::var("POOLER_CALLS").map_or(CALLS, |calls| calls.parse().expect("a number of calls"))
}

fn name(n: usize) -> String {
    format!("store-{n:03}")
}

fn chain(n: usize) -> String {
    format!("chain-{}", n % CHAINS)
}

async fn fill(service: &Service) {
    for slug in ["cafe", "bakery", "deli"] {
        let category = service.client.create_platform_category(slug).display_name(slug);
        category.gbp_category(format!("gcid:{slug}")).send().await.expect("created");
    }
    let imports = (0..TENANTS).map(|n| {
        let tenant =
            TenantImport::new(name(n)).display_name(format!("Store {n}")).region_code("US").language_code("en");
        let additional: &[&str] = if n % 2 == 0 { &["bakery"] } else { &["bakery", "deli"] };
        tenant.location("1", name(n)).organization(chain(n)).categories("cafe", additional.iter().copied())
    });
    let imported = service.client.import_tenants(imports).send().await.expect("imported");
    assert_eq!(imported.created, i32::try_from(TENANTS).expect("small"));
    for n in 0..TENANTS {
        service.google.put(&name(n), "cafe", &["bar"]).await;
    }
    service.client.refresh_taxonomy("US", "en").send().await.expect("imported");
}

/// A question whose answer is known, out of a dozen kinds.
async fn ask(client: &Client, n: u64) -> Result<(), Error> {
    let tenant = usize::try_from(n * 7919).expect("small") % TENANTS;
    let id = name(tenant);
    match n % 12 {
        0 | 1 => {
            let found = client.get_tenant(id.as_str()).send().await?;
            assert_eq!(
                (found.name.as_str(), found.display_name),
                (format!("tenants/{id}").as_str(), format!("Store {tenant}"))
            );
            assert_eq!(found.organization.as_deref(), Some(format!("organizations/{}", chain(tenant)).as_str()));
        }
        2 => {
            let error = client.get_tenant(format!("missing-{n}")).send().await.expect_err("missing");
            if !error.is_not_found() {
                return Err(error);
            }
        }
        3 => {
            let set = client.get_tenant_categories(id.as_str()).send().await?;
            assert_eq!(set.additional.len(), 1 + tenant % 2, "{id}: {set:?}");
        }
        4 => {
            let all: Vec<_> = client.list_tenants().page_size(17).send().collect().await?;
            let names: Vec<_> = all.into_iter().map(|tenant| tenant.name).collect();
            assert_eq!(names, (0..TENANTS).map(|n| format!("tenants/{}", name(n))).collect::<Vec<_>>());
        }
        5 => {
            let accepted = client.mirror(id.as_str(), Strategy::PlatformToGbp).dry_run(true).send().await;
            let run = accepted?.run;
            assert_eq!(run.tenant, format!("tenants/{id}"));
            let again = client.get_run(run.name.as_str()).send().await?;
            assert_eq!((again.name, again.tenant), (run.name, run.tenant));
        }
        6 => {
            let key = format!("request-{n}");
            let once = || client.mirror(id.as_str(), Strategy::PlatformToGbp).dry_run(true).request_id(key.as_str());
            let (one, two) = (once().send().await?, once().send().await?);
            assert_eq!(one.run.name, two.run.name, "{key}");
        }
        7 => {
            let logs = client.list_sync_logs().tenant(id.as_str()).page_size(5).send().collect().await?;
            assert!(logs.iter().all(|run| run.tenant == format!("tenants/{id}")), "{id}: {logs:?}");
        }
        8 => {
            client.get_sync_stats().tenant(id.as_str()).send().await?;
            client.get_sync_stats().send().await?;
        }
        9 => {
            let found = client.search_categories("cafe", "US", "en").send().collect().await?;
            assert!(found.iter().any(|it| it.category.name == "categories/gcid:cafe"), "{found:?}");
        }
        10 => {
            let evaluated = client.evaluate_flag("FF_CATEGORY_MIRRORING", id.as_str()).send().await?;
            assert!(evaluated.enabled, "{evaluated:?}");
        }
        _ => {
            let category = client.get_platform_category("deli").send().await?;
            assert_eq!(category.gbp_category.as_deref(), Some("categories/gcid:deli"), "{category:?}");
        }
    }
    Ok(())
}

/// Asks until there is an answer: on a busy machine some callers wait longer for a session than they like to, and of those who read much only
/// a few are let in at once.
async fn answered(client: &Client, n: u64) {
    while let Err(error) = ask(client, n).await {
        let passes = error.is_unavailable() || matches!(error.code(), Code::DeadlineExceeded | Code::ResourceExhausted);
        assert!(passes, "question {n}: {error:?}");
    }
}

/// Asks as many questions, and gives how many were answered in a second.
async fn ask_all(service: &Service, questions: u64) -> f64 {
    let (began, asked) = (Instant::now(), AtomicU64::new(0));
    stream::iter(0..questions)
        .for_each_concurrent(CALLERS, |n| {
            let asked = &asked;
            async move {
                answered(&service.client, n).await;
                asked.fetch_add(1, Ordering::Relaxed);
            }
        })
        .await;
    assert_eq!(asked.into_inner(), questions);
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = questions as f64 / began.elapsed().as_secs_f64();
    rate
}

/// Every run that was asked for has ended, and none of them failed.
async fn assert_all_succeeded(service: &Service) {
    for tenant in 0..TENANTS {
        for run in service.client.list_sync_logs().tenant(name(tenant)).send().collect().await.expect("listed") {
            let run = service.ended(&run.name).await;
            assert_eq!(run.state, RunState::Succeeded, "{run:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_through_a_pooler_is_that_to_another_question() {
    if !is_installed() {
        return;
    }
    let service = service::start_pooled().await;
    fill(&service).await;
    ask_all(&service, calls()).await;
    assert_all_succeeded(&service).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: cargo test -p category-mirror-server --test it -- --ignored --nocapture pooler::answers"]
async fn what_a_pooler_costs() {
    let (direct, pooled) = (service::start().await, service::start_pooled().await);
    for service in [&direct, &pooled] {
        fill(service).await;
        ask_all(service, 60).await;
    }
    for round in 1..=3 {
        let (without, with) = (ask_all(&direct, calls()).await, ask_all(&pooled, calls()).await);
        println!("round {round}: {without:.0} calls/s direct, {with:.0} calls/s pooled, {:.2}", with / without);
    }
}
