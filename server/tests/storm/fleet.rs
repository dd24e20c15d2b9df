//! The servers: a place for each, and a process in it that is replaced whenever it has gone.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU32, atomic::Ordering},
    time::Duration,
};

use category_mirror::{
    auth::{AuthArgs, Grant, Signer},
    domain::Role,
};
use category_mirror_client::Client;
use tokio::sync::OwnedMutexGuard;

use crate::{
    database::{Database, url},
    options::Options,
    pooler::Pooler,
    process::Process,
    proxy::Proxy,
    record::Record,
    skew::Skew,
};

/// Short, so that a storm holds many of them.
pub(crate) const LEASE: Duration = Duration::from_secs(2);

pub(crate) const SECRET: &str = "only-for-storms-0123456789abcdef";

/// A run's own writes may remove so many categories in total: one write never removes more, two can.
pub(crate) const REMOVALS: usize = 6;

const SETTINGS: [(&str, &str); 19] = [
    ("LISTEN_ADDR", "127.0.0.1:0"),
    ("ADMIN_LISTEN_ADDR", "127.0.0.1:0"),
    ("LOG_FORMAT", "json"),
    ("DATABASE_MAX_CONNECTIONS", "8"),
    // The most that a lease of two seconds allows: a request that leaves has to be over before the lease is.
    ("GBP_TIMEOUT", "1s"),
    ("RUNNER_LEASE", "2s"),
    ("RUNNER_COOLDOWN", "0s"),
    ("RUNNER_CONCURRENCY", "8"),
    // Faults of Google's count as attempts, and they shall never be what ends a run here.
    ("RUNNER_ATTEMPTS", "100"),
    ("RUNNER_BACKOFF", "50ms"),
    ("RUNNER_BACKOFF_MAX", "500ms"),
    ("RUNNER_BACKOFF_JITTER", "50ms"),
    ("SHUTDOWN_GRACE_PERIOD", "3s"),
    // Its edits are wild on purpose.
    ("GUARD_MAX_PRIMARY_CHANGES", "1"),
    ("GUARD_MAX_REMOVALS", "6"),
    ("GUARD_MAX_REMOVED_PERCENT", "100"),
    ("GUARD_MAX_FIRST_RUN_REMOVALS", "100"),
    ("FF_CATEGORY_MIRRORING", "on"),
    ("FF_TENANT_PLATFORM_CATEGORY", "on"),
];

/// All servers.
pub(crate) struct Fleet {
    places: Vec<Place>,
    site: Arc<Site>,
}

/// What every process needs.
struct Site {
    folder: PathBuf,
    endpoint: String,
    token: String,
    pooler: Option<Arc<Pooler>>,
    record: Arc<Record>,
    skew: Option<Skew>,
    next: AtomicU32,
}

/// One server's place.
struct Place {
    index: usize,
    proxy: Arc<Proxy>,
    process: Arc<tokio::sync::Mutex<Option<Process>>>,
    /// How its callers reach it, also while it is stopped or gone: they do not know.
    client: Arc<Mutex<Option<Client>>>,
}

/// A place whose process somebody has in hand.
pub(crate) struct InHand {
    /// What stands between the process and the database.
    pub(crate) proxy: Arc<Proxy>,
    process: OwnedMutexGuard<Option<Process>>,
    client: Arc<Mutex<Option<Client>>>,
    site: Arc<Site>,
    index: usize,
}

impl Fleet {
    /// Starts the servers, whose clocks may disagree, and one of which may be behind a pooler.
    pub(crate) async fn start(
        options: &Options,
        folder: &Path,
        endpoint: &str,
        database: &Database,
        pooler: Option<&Arc<Pooler>>,
        record: &Arc<Record>,
    ) -> Self {
        std::fs::write(folder.join("secret"), SECRET).expect("written");
        let site = Site {
            token: token(&folder.join("secret")),
            folder: folder.to_owned(),
            endpoint: endpoint.to_owned(),
            pooler: pooler.cloned(),
            record: record.clone(),
            skew: Skew::by(options.skew),
            next: AtomicU32::new(1),
        };
        let mut fleet = Self { places: Vec::new(), site: Arc::new(site) };
        for index in 0..usize::from(options.replicas) {
            let pooler = pooler.filter(|_| options.pooled_place() == Some(index));
            let proxy = Arc::new(Proxy::start(database, pooler.map(AsRef::as_ref)).await);
            fleet.places.push(Place { index, proxy, process: Arc::default(), client: Arc::default() });
            fleet.in_hand(index).expect("nobody else has it").start().await;
        }
        fleet
    }

    /// Takes the first place from `index` on that nobody has in hand.
    pub(crate) fn in_hand(&self, index: usize) -> Option<InHand> {
        let places = self.places.iter().cycle().skip(index % self.places.len()).take(self.places.len());
        places.into_iter().find_map(|place| {
            let process = place.process.clone().try_lock_owned().ok()?;
            let (proxy, client) = (place.proxy.clone(), place.client.clone());
            Some(InHand { proxy, process, client, site: self.site.clone(), index: place.index })
        })
    }

    /// Whether so many servers are up that one may be struck and another one still serves.
    pub(crate) fn can_spare_one(&self) -> bool {
        let up = self.places.iter().filter(|place| place.process.try_lock().is_ok()).count();
        up >= self.places.len().min(2)
    }

    /// Cuts the connections of one server, whoever has it in hand.
    pub(crate) fn proxy(&self, index: usize) -> Arc<Proxy> {
        self.places[index % self.places.len()].proxy.clone()
    }

    /// How many places there are.
    pub(crate) fn size(&self) -> usize {
        self.places.len()
    }

    /// A client of the server in this place; `None`: there was none yet.
    pub(crate) fn client_of(&self, index: usize) -> Option<Client> {
        self.places[index].client.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A client of any server.
    pub(crate) fn client(&self) -> Client {
        loop {
            let place = &self.places[fastrand::usize(..self.places.len())];
            if let Some(client) = &*place.client.lock().unwrap_or_else(PoisonError::into_inner) {
                return client.clone();
            }
        }
    }

    /// A client of one server for when all is quiet, which waits for an answer however slow the machine is.
    pub(crate) async fn patient_client(&self) -> Client {
        let place = self.places[0].process.lock().await;
        place.as_ref().expect("a place is filled before it is let go").patient_client(&self.site.token)
    }

    /// The names of all processes there have been, each with the access token that it shows to Google.
    pub(crate) fn tokens(&self) -> Vec<(String, String)> {
        let names = (1..self.site.next.load(Ordering::Relaxed)).map(|number| format!("p{number}"));
        names.map(|name| (name.clone(), access_token(&name))).collect()
    }

    /// Ends every process in good order.
    pub(crate) async fn end(&self) {
        for index in 0..self.places.len() {
            let mut place = self.in_hand(index).expect("the storm is over");
            place.end().await;
        }
    }
}

impl InHand {
    /// The process.
    pub(crate) fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("a place is filled before it is let go")
    }

    /// Notes if the process ended although nobody wanted that.
    pub(crate) fn check(&mut self) {
        let process = self.process();
        if let Some(status) = process.has_ended() {
            let words = format!("{} ended by itself: {status}", process.name);
            self.site.record.surprise(words);
        }
    }

    /// `kill -9`.
    pub(crate) async fn kill(&mut self) {
        self.check();
        if let Some(process) = self.process.take() {
            process.kill().await;
        }
    }

    /// Asks it to end and waits for that; anything but a good end is noted.
    pub(crate) async fn end(&mut self) {
        self.check();
        let Some(process) = self.process.take() else { return };
        let name = process.name.clone();
        match process.end().await {
            Some(status) if status.success() => {}
            Some(status) => self.site.record.surprise(format!("{name} was asked to end, and did so with {status}")),
            None => self.site.record.surprise(format!("{name} was asked to end, and does not")),
        }
    }

    /// Starts another process in this place; it tries until the database lets it.
    pub(crate) async fn start(&mut self) {
        loop {
            let site = &self.site;
            let number = site.next.fetch_add(1, Ordering::Relaxed);
            let name = format!("p{number}");
            let mut command = Command::new(env!("CARGO_BIN_EXE_category-mirror"));
            command
                .arg("serve")
                .env_clear()
                .envs(SETTINGS)
                .env("RUST_LOG", std::env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned()))
                .envs(self.ways(number, &name))
                .env("AUTH_HS256_SECRET_FILE", site.folder.join("secret"))
                .env("GBP_ENDPOINT", &site.endpoint)
                .env("GBP_ACCESS_TOKEN", access_token(&name));
            let off = site.skew.as_ref().map_or(0, |skew| skew.set(self.index, &mut command));
            site.record.notes().clocks.entry(name.clone()).or_default().wanted = off;
            let log = site.folder.join(format!("{name}.log"));
            if let Some(process) = Process::start(command, name, &site.token, &log, &site.record).await {
                *self.client.lock().unwrap_or_else(PoisonError::into_inner) = Some(process.client.clone());
                *self.process = Some(process);
                return;
            }
            site.record.count("starts in vain");
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }
}

impl InHand {
    /// The settings of a process's ways to the database.
    fn ways(&self, number: u32, name: &str) -> Vec<(&'static str, String)> {
        let direct = url(self.proxy.direct(), name);
        match self.site.pooler.as_ref().zip(self.proxy.pooled()) {
            Some((pooler, way)) => {
                self.site.record.notes().pooled.insert(name.to_owned());
                vec![("DATABASE_URL", pooler.url(way, number)), ("DATABASE_DIRECT_URL", direct)]
            }
            None => vec![("DATABASE_URL", direct)],
        }
    }
}

/// Each process has its own, so that the emulator can tell them apart.
fn access_token(process: &str) -> String {
    format!("ya29.storm-{process}")
}

/// An administrator's token, good for longer than any storm.
fn token(secret: &Path) -> String {
    let args = AuthArgs { auth_hs256_secret_file: Some(secret.to_owned()), ..AuthArgs::default() };
    let ttl = Duration::from_secs(7 * 24 * 3600);
    let grant = Grant { subject: "storm".to_owned(), role: Role::Admin, tenants: None, ttl };
    Signer::from_args(&args).expect("a key").sign(&grant, chrono::Utc::now()).expect("a token")
}
