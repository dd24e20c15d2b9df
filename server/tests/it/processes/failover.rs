//! A primary that is lost, and a standby that is promoted behind the same name: no accepted run is lost, nothing is written twice, and a
//! server finds its way by itself. How long that takes is printed: `cargo test --test it -- failover --nocapture`.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use category_mirror::{
    domain::{BatchId, RunId},
    store::{Store, connect, migrations},
};
use category_mirror_client::{Client, Error, RunState, Strategy};
use nix::sys::signal::Signal;
use serde_json::json;
use sqlx::ConnectOptions;
use tokio_util::sync::CancellationToken;
use tonic_health::pb::health_check_response::ServingStatus::{NotServing, Serving};

use super::{
    name::Name,
    pair::Pair,
    server::Server,
    site::{Site, ended, until},
};
use crate::support::node::Node;

/// Tenants beside `store`.
const TENANTS: usize = 6;
/// Writes that must all be taken once health says so.
const WRITES: usize = 20;

/// What becomes of connections to the primary that is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    /// They end, as the host is there still.
    Broken,
    /// They are never heard of again.
    Silent,
    /// They stay, and the primary refuses writes.
    ReadOnly,
}

#[tokio::test]
async fn failover_from_a_primary_that_crashes() {
    fail_over(Loss::Broken).await;
}

#[tokio::test]
async fn failover_from_a_primary_whose_host_vanishes_without_a_word() {
    fail_over(Loss::Silent).await;
}

#[tokio::test]
async fn failover_from_a_primary_that_refuses_writes_and_keeps_its_connections() {
    fail_over(Loss::ReadOnly).await;
}

/// Nobody watches over the connections here: a primary that was replaced answers over those that it keeps, and does not know what was
/// accepted since.
#[tokio::test]
async fn what_a_server_that_takes_no_writes_does_not_know_is_not_believed() {
    let mut pair = Pair::start().await;
    let name = Name::of(pair.primary.socket()).await;
    let pool = connect(name.url().parse().expect("a URL"), 2);
    migrations::migrate(&pool).await.expect("migrated");
    let store = Store::new(pool);
    let (run, batch) = (RunId::from_u128(1), BatchId::from_u128(1));
    assert_eq!(store.run(run).await.expect("known"), None);
    assert_eq!(store.batch(batch).await.expect("known"), None);

    pair.primary.refuse_writes().await;
    // Each session hears of it by itself, a moment later.
    until("a miss is not believed", async || store.run(run).await.is_err()).await;
    until("a miss is not believed", async || store.batch(batch).await.is_err()).await;
    pair.standby.promote().await;
    name.lead_to(pair.standby.socket());
    until("the new primary answers", async || store.run(run).await.is_ok()).await;
    assert_eq!(store.run(run).await.expect("known"), None);
    assert_eq!(store.batch(batch).await.expect("known"), None);
    store.close().await;
    pair.primary.end(Signal::SIGQUIT).await;
}

/// Between a pooler that still leads to the old primary and a URL that leads to the new one.
#[tokio::test]
async fn a_server_that_starts_in_the_middle_of_a_failover_waits_for_its_end() {
    let (site, mut pair) = (Site::embedded().await, Pair::start().await);
    pair.standby.promote().await;
    let (pooler, direct) = (Name::of(pair.primary.socket()).await, Name::of(pair.standby.socket()).await);
    let settings = [("DATABASE_URL", &*pooler.url()), ("DATABASE_DIRECT_URL", &*direct.url()), ("DATA_DIR", "")];
    let moved = async {
        let counted = "select sessions from pg_stat_database where datname = 'category_mirror'";
        let mut beside = pair.primary.options().database("postgres").connect().await.expect("connected");
        let mut sessions =
            async || -> i64 { sqlx::query_scalar(counted).fetch_one(&mut beside).await.expect("counted") };
        let before = sessions().await;
        // More than one check makes.
        while sessions().await < before + 3 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        pooler.lead_to(pair.standby.socket());
    };
    let (server, ()) = tokio::join!(site.serve(&settings), moved);
    server.stop().await;
    pair.primary.end(Signal::SIGQUIT).await;
}

async fn fail_over(loss: Loss) {
    let (site, mut pair) = (Site::embedded().await, Pair::start().await);
    let name = Name::of(pair.primary.socket()).await;
    let server = site.serve(&[("DATABASE_URL", &name.url()), ("DATA_DIR", "")]).await;
    let client = site.client(&server);
    let mut health = server.health().await;
    health.becomes(Serving).await;
    load(&site, &client).await;
    // Many connections, most of which nobody uses until the primary is another one.
    assert_eq!(failed_at_once(&client).await, 0);
    let crowd = Crowd::start(&client);
    until("runs are accepted", || async { crowd.accepted().len() >= TENANTS }).await;

    lose(loss, &mut pair.primary, &name).await;
    health.becomes(NotServing).await;
    assert_eq!(server.healthz().await, 503);
    pair.standby.promote().await;
    name.lead_to(pair.standby.socket());
    let moved_at = Instant::now();
    if loss == Loss::Broken {
        name.break_all();
    }
    until("a write is taken", || async { write(&client).await.is_ok() }).await;
    let (written, mut failed) = (moved_at.elapsed(), 0);
    health.becomes(Serving).await;
    let healthy = moved_at.elapsed();
    // First over all connections that are left of before, and then one after the other.
    let failed_at_once = failed_at_once(&client).await;
    for _ in 0..WRITES {
        failed += usize::from(write(&client).await.is_err());
    }
    eprintln!(
        "{loss:?}: writes {written:?}, health {healthy:?} after the name's move; {failed} of {WRITES} writes failed"
    );
    assert_eq!((failed_at_once, failed), (0, 0), "of {WRITES} writes each once the server says that it serves");
    assert!(pair.standby.is("select not pg_is_in_recovery()").await);

    let accepted = crowd.stop().await;
    assert_all_done(&site, &client, &accepted).await;
    drop(health);
    server.stop().await;
}

async fn lose(loss: Loss, primary: &mut Node, name: &Name) {
    match loss {
        Loss::Broken => primary.end(Signal::SIGQUIT).await,
        Loss::Silent => {
            // In this order: what it answers on its end reaches nobody.
            name.vanish();
            primary.end(Signal::SIGQUIT).await;
        }
        Loss::ReadOnly => primary.refuse_writes().await,
    }
}

/// A write, of a tenant that no caller asks runs for.
async fn write(client: &Client) -> Result<(), Error> {
    client.set_tenant_categories("store", "cafe").additional(["bakery"]).send().await.map(drop)
}

/// How many of so many writes at once fail.
async fn failed_at_once(client: &Client) -> usize {
    let writes = futures::future::join_all((0..WRITES).map(|_| write(client))).await;
    writes.into_iter().filter(Result::is_err).count()
}

fn tenant(number: usize) -> (String, String) {
    (format!("store-{number}"), format!("{}", 100 + number))
}

/// Tenants with the same differences between the two sides.
async fn load(site: &Site, client: &Client) {
    site.load(client).await;
    for (id, location) in (0..TENANTS).map(tenant) {
        let created = client.create_tenant(&id).display_name("Store").location("1", &location);
        created.region_code("US").language_code("en").send().await.expect("created");
        client.set_tenant_categories(&id, "cafe").additional(["bakery"]).send().await.expect("set");
        site.google.put(&location, "cafe", &["bar"]).await;
    }
    // Runs are under way, wherever they are, when the primary is lost.
    site.google.fault(json!({"method": "locations.get", "delay_ms": 100})).await;
}

/// Callers who ask for runs of all tenants again and again, and note what was accepted.
struct Crowd {
    accepted: Arc<Mutex<BTreeSet<String>>>,
    stop: CancellationToken,
    callers: Vec<tokio::task::JoinHandle<()>>,
}

impl Crowd {
    fn start(client: &Client) -> Self {
        let (accepted, stop) = (Arc::<Mutex<BTreeSet<String>>>::default(), CancellationToken::new());
        let call = |number: usize| {
            let (client, accepted, stop) = (client.clone(), accepted.clone(), stop.clone());
            tokio::spawn(async move {
                let (tenant, _) = tenant(number);
                let mut again = tokio::time::interval(Duration::from_millis(50));
                while !stop.is_cancelled() {
                    match client.mirror(&tenant, Strategy::PlatformToGbp).send().await {
                        Ok(answer) => drop(accepted.lock().expect("whole").insert(answer.run.name)),
                        Err(error) => assert!(error.is_unavailable(), "{error}"),
                    }
                    again.tick().await;
                }
            })
        };
        let callers = (0..TENANTS).map(call).collect();
        Self { accepted, stop, callers }
    }

    fn accepted(&self) -> BTreeSet<String> {
        self.accepted.lock().expect("whole").clone()
    }

    async fn stop(self) -> BTreeSet<String> {
        self.stop.cancel();
        for caller in self.callers {
            caller.await.expect("refused for what it was, or accepted");
        }
        self.accepted.lock().expect("whole").clone()
    }
}

/// Each accepted run has ended well, and each location was written once, with what it should have.
async fn assert_all_done(site: &Site, client: &Client, accepted: &BTreeSet<String>) {
    site.google.heal().await;
    for run in accepted {
        let run = ended(client, run).await;
        assert_eq!(run.state, RunState::Succeeded, "{run:?}");
        assert_eq!(run.attempt, 1, "no attempt counts that the database ended: {run:?}");
    }
    let writes = site.google.writes().await;
    for (_, location) in (0..TENANTS).map(tenant) {
        assert_eq!(site.google.merchant(&location).await, ["cafe", "bakery"]);
        let of_location = writes.iter().filter(|write| write.to_string().contains(&format!("locations/{location}\"")));
        assert_eq!(of_location.count(), 1, "{writes:#?}");
    }
    assert_eq!(writes.len(), TENANTS, "{writes:#?}");
}

#[tokio::test]
async fn failover_between_two_hosts_of_one_url() {
    let (site, mut pair) = (Site::embedded().await, Pair::start().await);
    let (first, second) = (Name::of(pair.standby.socket()).await, Name::of(pair.primary.socket()).await);
    let hosts = format!("{},{}", first.address(), second.address());
    let url =
        format!("postgres://category_mirror@{hosts}/category_mirror?sslmode=disable&target_session_attrs=read-write");
    let server: Server = site.serve(&[("DATABASE_URL", &url), ("DATA_DIR", "")]).await;
    let client = site.client(&server);
    let mut health = server.health().await;
    health.becomes(Serving).await;
    site.load(&client).await;
    write(&client).await.expect("taken by the second, as the first is a standby");
    pair.primary.end(Signal::SIGQUIT).await;
    health.becomes(NotServing).await;
    pair.standby.promote().await;
    health.becomes(Serving).await;
    for _ in 0..WRITES {
        write(&client).await.expect("taken by the first, which was promoted");
    }
    drop(health);
    server.stop().await;
}
