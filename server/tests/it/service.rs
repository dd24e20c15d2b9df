//! A whole service for one test: a database of its own, an emulator of its own, the server, and the published client.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use category_mirror::{
    api::CallLimits,
    auth::{Grant, Signer, Verifier},
    credential_cipher::CredentialCipher,
    domain::{Backoff, GuardLimits, MAX_ADDITIONAL, ProcessFlags, Role, TenantId},
    emulator::Emulator,
    gbp::{self, Credentials, Endpoint},
    runner::RunnerConfig,
    serve::{Listeners, STREAM_HEARTBEAT, ServerConfig, serve},
    store::{Pools, Retention},
};
use category_mirror_client::{Client, Run, Strategy};
use serde_json::{Value, json};
use sqlx::PgPool;
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::database::{self, TestDatabase};

/// What differs from test to test.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setup {
    pub(crate) runner: RunnerConfig,
    pub(crate) flags: ProcessFlags,
    pub(crate) max_attempts: i32,
    pub(crate) stream_heartbeat: Duration,
    pub(crate) limits: CallLimits,
}

impl Default for Setup {
    /// The contract's defaults, with waits so short that no test feels them, all flags on until
    /// somebody sets them, and guards that stop nothing.
    fn default() -> Self {
        Self {
            runner: RunnerConfig {
                concurrency: 8,
                lease: Duration::from_secs(30),
                cooldown: Duration::ZERO,
                backoff: Backoff {
                    initial: Duration::from_millis(1),
                    max: Duration::from_millis(10),
                    jitter: Duration::ZERO,
                },
                grace: Duration::from_secs(5),
                max_additional: MAX_ADDITIONAL,
                retention: Retention::default(),
                // Most tests are about something else than guards, and have runs of every kind.
                guards: GuardLimits::OPEN,
            },
            flags: ProcessFlags::on(),
            max_attempts: 5,
            stream_heartbeat: STREAM_HEARTBEAT,
            // Tests call as fast as they can.
            limits: CallLimits { rate: 0, ..CallLimits::default() },
        }
    }
}

/// A running service.
pub(crate) struct Service {
    /// A client with an administrator's token.
    pub(crate) client: Client,
    /// Google, as the test sees it.
    pub(crate) google: Google,
    /// The gRPC address.
    pub(crate) address: SocketAddr,
    /// The address of health and metrics.
    pub(crate) admin: SocketAddr,
    database: TestDatabase,
    pub(crate) pool: PgPool,
    key: TempDir,
    /// Stops it, and every replica of it.
    pub(crate) stop: CancellationToken,
    task: JoinHandle<()>,
}

/// Starts a service with the defaults.
pub(crate) async fn start() -> Service {
    start_with(Setup::default()).await
}

/// Starts a service.
pub(crate) async fn start_with(setup: Setup) -> Service {
    let database = database::create().await;
    let pools = database.pools(10);
    start_on(database, pools, setup).await
}

/// Starts a service behind a pooler in transaction mode.
pub(crate) async fn start_pooled() -> Service {
    let database = database::create().await;
    let pools = database.pooled(10).await;
    start_on(database, pools, Setup::default()).await
}

async fn start_on(database: TestDatabase, pools: Pools, setup: Setup) -> Service {
    let google = Google::start().await;
    let key = tempfile::tempdir().expect("a folder for the key");
    let listeners = Listeners { grpc: bind().await, admin: bind().await };
    let (address, admin) = (local(&listeners.grpc), local(&listeners.admin));
    let config = ServerConfig {
        pool: pools,
        gbp: google.client(Duration::from_secs(10)),
        cipher: CredentialCipher::development(key.path()).expect("a key"),
        verifier: Verifier::development(key.path()).expect("a key"),
        flags: setup.flags,
        runner: setup.runner,
        max_attempts: setup.max_attempts,
        stream_heartbeat: setup.stream_heartbeat,
        limits: setup.limits,
        tls: None,
    };
    let stop = CancellationToken::new();
    let served = serve(config, listeners, stop.clone().cancelled_owned());
    let task = tokio::spawn(async move { served.await.expect("served") });
    let pool = database.pool();
    let client = Client::builder(format!("http://{address}")).token(sign(&key, Role::Admin, "tester", None));
    let client = client.build().expect("a client");
    Service { client, google, address, admin, database, pool, key, stop, task }
}

/// Its servers do not look for a database that is gone, while the test goes on with others.
impl Drop for Service {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Service {
    /// A client with another token.
    pub(crate) fn client_with(&self, token: &str) -> Client {
        Client::builder(format!("http://{}", self.address)).token(token.to_owned()).build().expect("a client")
    }

    /// A valid token.
    pub(crate) fn token(&self, role: Role, subject: &str, tenants: Option<&[&str]>) -> String {
        sign(&self.key, role, subject, tenants)
    }

    /// Where the key is that tokens are signed with.
    pub(crate) fn key_folder(&self) -> PathBuf {
        self.key.path().to_owned()
    }

    /// How to connect to the database.
    pub(crate) fn database(&self) -> &TestDatabase {
        &self.database
    }

    /// Adds platform categories: slug and gcid, `""` for unmapped.
    pub(crate) async fn categories(&self, categories: &[(&str, &str)]) {
        for (slug, gcid) in categories {
            let category = self.client.create_platform_category(*slug).display_name(slug.to_uppercase());
            let category = if gcid.is_empty() { category } else { category.gbp_category(*gcid) };
            category.send().await.expect("created");
        }
    }

    /// Adds a tenant at location `locations/{location}` of account 1.
    pub(crate) async fn tenant(&self, id: &str, location: &str) {
        let tenant = self.client.create_tenant(id).display_name(id).location("1", location);
        tenant.region_code("US").language_code("en").send().await.expect("created");
    }

    /// Sets a tenant's categories, the primary one first.
    pub(crate) async fn set(&self, tenant: &str, slugs: &[&str]) {
        let set = self.client.set_tenant_categories(tenant, slugs[0]).additional(slugs[1..].iter().copied());
        set.send().await.expect("set");
    }

    /// The usual beginning: tenant `store` at `locations/77`, categories `cafe`, `bakery`, `deli`, `bar` and the unmapped `yoga`.
    pub(crate) async fn with_store(&self, slugs: &[&str], primary: &str, additional: &[&str]) {
        self.categories(&[
            ("cafe", "gcid:cafe"),
            ("bakery", "gcid:bakery"),
            ("deli", "gcid:deli"),
            ("bar", "gcid:bar"),
            ("yoga", ""),
        ])
        .await;
        self.tenant("store", "77").await;
        if !slugs.is_empty() {
            self.set("store", slugs).await;
        }
        self.google.put("77", primary, additional).await;
    }

    /// Runs `platform_to_gbp` for a tenant, to its end.
    pub(crate) async fn mirror(&self, tenant: &str, dry_run: bool) -> Run {
        let mirrored = self.client.mirror(tenant, Strategy::PlatformToGbp).dry_run(dry_run).send().await;
        self.ended(&mirrored.expect("accepted").run.name).await
    }

    /// Waits for a run's end.
    pub(crate) async fn ended(&self, name: &str) -> Run {
        let mut snapshots = self.client.watch_run(name).send();
        let mut last = None;
        while let Some(run) = snapshots.next().await {
            last = Some(run.expect("a snapshot"));
        }
        last.filter(Run::is_terminal).expect("a terminal snapshot")
    }

    /// Stops the service as a supervisor would, and waits until it has drained.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        (&mut self.task).await.expect("stopped");
    }
}

fn sign(key: &TempDir, role: Role, subject: &str, tenants: Option<&[&str]>) -> String {
    let tenants = tenants.map(|ids| ids.iter().map(|id| TenantId::parse(id).expect("an id")).collect());
    let grant = Grant { subject: subject.to_owned(), role, tenants, ttl: Duration::from_secs(600) };
    Signer::development(key.path()).expect("a key").sign(&grant, chrono::Utc::now()).expect("a token")
}

async fn bind() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("a port")
}

fn local(listener: &TcpListener) -> SocketAddr {
    listener.local_addr().expect("an address")
}

/// The emulator, and its control interface.
pub(crate) struct Google {
    /// Its base URL.
    pub(crate) endpoint: String,
    http: reqwest::Client,
    task: JoinHandle<()>,
}

impl Google {
    /// Starts one, without locations.
    pub(crate) async fn start() -> Self {
        let emulator = Emulator::bind(([127, 0, 0, 1], 0).into()).await.expect("a port");
        let endpoint = emulator.endpoint();
        let task = tokio::spawn(async move { emulator.serve(std::future::pending()).await.expect("served") });
        Self { endpoint, http: reqwest::Client::new(), task }
    }

    /// The service's client of it.
    pub(crate) fn client(&self, timeout: Duration) -> gbp::Client {
        let endpoint = Endpoint::parse(&self.endpoint).expect("an endpoint");
        let credentials = Credentials::access_token("only-for-tests".to_owned()).expect("a token");
        let token_url = Endpoint::parse(&format!("{}/token", self.endpoint)).expect("an endpoint");
        gbp::Client::new(gbp::GbpConfig { endpoint, token_url: Some(token_url), credentials, timeout })
            .expect("a client")
    }

    /// Makes a location what it should be.
    pub(crate) async fn put(&self, location: &str, primary: &str, additional: &[&str]) {
        let body = json!({
            "account": "1", "title": "Store", "regionCode": "US", "categories": categories(primary, additional),
        });
        self.control(self.http.put(self.url(&format!("locations/{location}"))).json(&body)).await;
    }

    /// An edit from outside, by `owner` or `google`.
    pub(crate) async fn edit(&self, location: &str, by: &str, primary: &str, additional: &[&str]) {
        let body = json!({"by": by, "categories": categories(primary, additional)});
        self.control(self.http.post(self.url(&format!("locations/{location}:edit"))).json(&body)).await;
    }

    /// Changes what Google says of a location as a whole.
    pub(crate) async fn condition(&self, location: &str, change: Value) {
        self.control(self.http.patch(self.url(&format!("locations/{location}"))).json(&change)).await;
    }

    /// Has Google call a category by another name.
    pub(crate) async fn rename(&self, slug: &str, name: &str) {
        let rename = json!({"rename": {format!("gcid:{slug}"): name}});
        self.control(self.http.post(self.url("taxonomy")).json(&rename)).await;
    }

    /// The merchant's categories of a location: the primary one first, the others sorted.
    pub(crate) async fn merchant(&self, location: &str) -> Vec<String> {
        let views = self.control(self.http.get(self.url(&format!("locations/{location}")))).await;
        let categories = &views["merchant"];
        let categories = if categories["categories"].is_object() { &categories["categories"] } else { categories };
        let name = |category: &Value| {
            category["name"].as_str().expect("a name").trim_start_matches("categories/gcid:").to_owned()
        };
        let mut additional: Vec<String> =
            categories["additionalCategories"].as_array().into_iter().flatten().map(name).collect();
        additional.sort();
        std::iter::once(name(&categories["primaryCategory"])).chain(additional).collect()
    }

    /// Whether the merchant's edits wait for review.
    pub(crate) async fn review(&self, enabled: bool) {
        self.control(self.http.put(self.url("review")).json(&json!({"enabled": enabled}))).await;
    }

    /// Publishes what is in review.
    pub(crate) async fn publish(&self, location: &str) {
        self.control(self.http.post(self.url(&format!("locations/{location}:publish")))).await;
    }

    /// Changes what is known of tokens.
    pub(crate) async fn tokens(&self, change: Value) {
        self.control(self.http.post(self.url("tokens")).json(&change)).await;
    }

    /// Scripts a fault.
    pub(crate) async fn fault(&self, fault: Value) {
        self.control(self.http.post(self.url("faults")).json(&fault)).await;
    }

    /// Google changes its list of categories.
    pub(crate) async fn change_taxonomy(&self, change: Value) {
        self.control(self.http.post(self.url("taxonomy")).json(&change)).await;
    }

    /// Removes all faults.
    pub(crate) async fn heal(&self) {
        self.control(self.http.delete(self.url("faults"))).await;
    }

    /// How often a method was called.
    pub(crate) async fn count(&self, method: &str) -> u64 {
        let calls = self.calls().await;
        calls[method].as_u64().unwrap_or_default()
    }

    /// How many updates took effect.
    pub(crate) async fn writes(&self) -> Vec<Value> {
        self.calls().await["writes"].as_array().cloned().expect("writes")
    }

    /// All that was called.
    pub(crate) async fn calls(&self) -> Value {
        self.control(self.http.get(self.url("calls"))).await
    }

    fn url(&self, path: &str) -> String {
        format!("{}/_control/{path}", self.endpoint)
    }

    async fn control(&self, request: reqwest::RequestBuilder) -> Value {
        let answer = request.send().await.expect("an answer");
        let status = answer.status();
        let body = answer.text().await.expect("a body");
        assert!(status.is_success(), "{status}: {body}");
        serde_json::from_str(&body).unwrap_or(Value::Null)
    }
}

impl Drop for Google {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Categories as Google's JSON has them, of bare slugs.
pub(crate) fn categories(primary: &str, additional: &[&str]) -> Value {
    let name = |slug: &&str| json!({"name": format!("categories/gcid:{slug}")});
    json!({"primaryCategory": name(&primary), "additionalCategories": additional.iter().map(name).collect::<Vec<_>>()})
}
