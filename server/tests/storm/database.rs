//! The storm's own PostgreSQL: a primary, which is durable, and a standby that has all of what the primary has answered.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use category_mirror::store::{self, Store, migrations};
use nix::sys::signal::Signal;
use serde::de::DeserializeOwned;
use sqlx::{
    PgPool, Postgres,
    postgres::{PgArguments, PgConnectOptions, PgSslMode},
    query::QueryScalar,
    types::Json,
};
use tokio::time::sleep;

use crate::{
    failovers, journal, platform, settings,
    support::{name::Name, node::Node},
};

/// Recovery takes a moment, on a slow disk more.
const WAIT_TIMEOUT: Duration = Duration::from_secs(120);

/// Of both servers.
const SETTINGS: [&str; 1] = ["max_connections=400"];

/// The servers, which are restarted, killed and replaced.
pub(crate) struct Database {
    /// Connections to the primary past every proxy that anything strikes.
    pub(crate) pool: PgPool,
    /// The same for the service's own statements.
    pub(crate) store: Store,
    /// One trouble at a time.
    trouble: tokio::sync::Mutex<Nodes>,
    ways: Mutex<Ways>,
}

/// The servers themselves.
struct Nodes {
    primary: Node,
    /// `None`: there shall be no failovers.
    standby: Option<Node>,
    folder: PathBuf,
    /// How many servers there were.
    count: u32,
    /// When the last trouble was over.
    over: Option<Instant>,
}

/// The ways to the primary.
struct Ways {
    /// The primary's socket.
    socket: PathBuf,
    /// The storm's own, which only ever breaks.
    own: Name,
    /// Those of the servers and of the pooler.
    names: Vec<Arc<Name>>,
}

/// What becomes of a primary that is lost, and of its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// It is killed, and its connections break.
    Killed,
    /// The same, and whoever is connected never hears of it again.
    Vanished,
    /// It is fenced: it refuses writes and keeps its connections, until it is ended for good.
    Fenced,
}

/// It is left alone for so long after each trouble: where a recovery takes long, nothing else would happen any more.
const REST: Duration = Duration::from_millis(1500);

impl Database {
    /// Starts one in folders of `folder`, with the newest schema and the journals; with a standby where there are to be failovers.
    pub(crate) async fn start(folder: &Path, has_standby: bool) -> Self {
        let primary = Node::create(folder, "postgres-1", &SETTINGS).await;
        let own = Name::of(primary.socket()).await;
        let pool = store::connect(options(own.address()), 8);
        migrations::migrate(&pool).await.expect("migrated");
        journal::begin(&pool).await.expect("a journal");
        platform::begin(&pool).await.expect("a journal");
        settings::begin(&pool).await.expect("a journal");
        failovers::begin(&pool).await.expect("a journal");
        let store = Store::new(pool.clone());
        let socket = primary.socket();
        let mut nodes = Nodes { primary, standby: None, folder: folder.to_owned(), count: 1, over: None };
        if has_standby {
            nodes.add_standby().await;
        }
        let ways = Mutex::new(Ways { socket, own, names: Vec::new() });
        Self { pool, store, trouble: tokio::sync::Mutex::new(nodes), ways }
    }

    /// A way to the primary that follows it in each failover.
    pub(crate) async fn way(&self) -> Arc<Name> {
        let socket = self.ways().socket.clone();
        let name = Arc::new(Name::of(socket.clone()).await);
        let mut ways = self.ways();
        assert_eq!(ways.socket, socket, "ways are made before there is trouble");
        ways.names.push(name.clone());
        name
    }

    fn ways(&self) -> MutexGuard<'_, Ways> {
        self.ways.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the primary's postmaster a signal that ends it, starts it again, and waits until it answers, once the trouble before is over
    /// for long enough. False when it does not answer.
    pub(crate) async fn strike(&self, signal: Signal) -> bool {
        let mut nodes = self.trouble.lock().await;
        nodes.rest().await;
        nodes.primary.end(signal).await;
        nodes.primary.answers().await;
        let answers = self.answers().await;
        nodes.over = Some(Instant::now());
        answers
    }

    async fn answers(&self) -> bool {
        let answers = async {
            while self.store.ping().await.is_err() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(WAIT_TIMEOUT, answers).await.is_ok()
    }

    /// Loses the primary like this, promotes the standby, and leads every way there, once the trouble before is over for long enough. A
    /// primary that is fenced ends `fenced_for` later. Calls `moved` when the ways lead to the new primary, and ends when that has a standby.
    /// `mark` is committed just before, and answered.
    pub(crate) async fn fail_over(
        &self,
        loss: Loss,
        fenced_for: Duration,
        signal: Signal,
        mark: i32,
        moved: impl FnOnce(),
    ) {
        let mut nodes = self.trouble.lock().await;
        nodes.rest().await;
        until_some(|| async { failovers::mark(&self.pool, mark).await.map(Some) }).await;
        let standby = nodes.standby.take().expect("a standby where there are failovers");
        match loss {
            Loss::Killed => nodes.primary.end(signal).await,
            Loss::Vanished => {
                // In this order: what it answers on its end reaches nobody.
                self.ways().names.iter().for_each(|name| name.vanish());
                nodes.primary.end(signal).await;
            }
            Loss::Fenced => nodes.primary.refuse_writes().await,
        }
        standby.promote().await;
        self.lead_to(standby.socket(), loss == Loss::Killed);
        moved();
        let mut lost = std::mem::replace(&mut nodes.primary, standby);
        if loss == Loss::Fenced {
            sleep(fenced_for).await;
            lost.end(signal).await;
        }
        lost.remove();
        nodes.add_standby().await;
        nodes.over = Some(Instant::now());
    }

    fn lead_to(&self, socket: PathBuf, breaks: bool) {
        let mut ways = self.ways();
        ways.socket.clone_from(&socket);
        // Its own first: whoever looks for what the servers do now looks in the right place.
        ways.own.lead_to(socket.clone());
        ways.own.break_all();
        for name in &ways.names {
            name.lead_to(socket.clone());
            if breaks {
                name.break_all();
            }
        }
    }

    /// Stops it.
    pub(crate) async fn stop(self) {
        self.store.close().await;
    }
}

impl Nodes {
    async fn rest(&self) {
        if let Some(over) = self.over {
            sleep(REST.saturating_sub(over.elapsed())).await;
        }
    }

    /// From now on each commit is answered once the standby has it, and all that was committed before has arrived there.
    async fn add_standby(&mut self) {
        self.count += 1;
        let standby = self.primary.copy(&self.folder, &format!("postgres-{}", self.count)).await;
        self.primary.require_standby().await;
        self.standby = Some(standby);
    }
}

impl Node {
    /// Ends it for good.
    fn remove(self) {
        let folders = [self.data.clone(), self.sockets.clone()];
        drop(self);
        for folder in folders {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

impl Loss {
    /// In words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Vanished => "vanished",
            Self::Fenced => "fenced",
        }
    }
}

/// A `DATABASE_URL` for a process by a way that keeps sessions. The name is what the journal calls the process.
pub(crate) fn url(way: SocketAddr, process: &str) -> String {
    format!("postgres://category_mirror@{way}/category_mirror?sslmode=disable&options[storm.process]={process}")
}

fn options(way: SocketAddr) -> PgConnectOptions {
    let options = PgConnectOptions::new_without_pgpass().host(&way.ip().to_string()).port(way.port());
    options.username("category_mirror").database("category_mirror").ssl_mode(PgSslMode::Disable)
}

/// Reads rows that a statement gives as one JSON object each.
pub(crate) async fn rows<T: DeserializeOwned + Send + Unpin + 'static>(
    query: QueryScalar<'_, Postgres, Json<T>, PgArguments>,
    pool: &PgPool,
) -> sqlx::Result<Vec<T>> {
    Ok(query.fetch_all(pool).await?.into_iter().map(|Json(row)| row).collect())
}

/// Asks the database again and again, also while it is away.
pub(crate) async fn until_some<T, F: Future<Output = sqlx::Result<Option<T>>>>(ask: impl Fn() -> F) -> T {
    loop {
        if let Ok(Some(answer)) = ask().await {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
