//! A database for each test, made from a migrated template in one volatile PostgreSQL for the whole binary.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Once};

use category_mirror::PROGRAM;
use category_mirror::config::{LogArgs, LogFormat};
use category_mirror::postgres::{Durability, Embedded, Error, Options};
use category_mirror::store::{self, Pools, Route, migrations};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgPool};
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

use crate::pooler::{self, PgBouncer};

/// Outlives the runtimes of the tests, and with it the server's keeper. The server ends with the process.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));
static SERVER: OnceCell<Embedded> = OnceCell::const_new();
static POOLER: OnceCell<PgBouncer> = OnceCell::const_new();
static NEXT: AtomicU32 = AtomicU32::new(1);

/// A migrated database that one test has for itself.
pub(crate) struct TestDatabase {
    name: String,
    options: PgConnectOptions,
}

/// Makes one. Takes about 50 ms.
pub(crate) async fn create() -> TestDatabase {
    log_if_asked();
    create_from("template migrated").await
}

/// Makes one that is not migrated, as `create database` does with these options.
pub(crate) async fn create_from(options: &str) -> TestDatabase {
    let server = server().await;
    if pooler::is_wanted() {
        pooler().await;
    }
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let mut admin = connect(server, "postgres").await;
    execute(&mut admin, format!("create database {name} {options}")).await;
    admin.close().await.expect("closed");
    TestDatabase { options: server.connect_options().database(&name), name }
}

/// The pooler before the PostgreSQL of all tests.
async fn pooler() -> &'static PgBouncer {
    let server = server().await;
    let start = || async {
        // By a thread that lives as long as the process.
        RUNTIME.spawn(async { PgBouncer::start(server, &folder_of(server)).await }).await.expect("started")
    };
    POOLER.get_or_init(start).await
}

/// A pooler with these settings before the PostgreSQL of all tests, for one test.
pub(crate) async fn own_pooler(settings: &'static str) -> PgBouncer {
    let server = server().await;
    let start = async move { PgBouncer::start_with(server, &folder_of(server), settings).await };
    RUNTIME.spawn(start).await.expect("started")
}

fn folder_of(server: &Embedded) -> PathBuf {
    let options = server.connect_options();
    let sockets = options.get_socket().expect("a socket");
    sockets.parent().expect("a folder").to_owned()
}

impl TestDatabase {
    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How to connect to it.
    pub(crate) fn options(&self) -> PgConnectOptions {
        self.options.clone()
    }

    /// The same as a `DATABASE_URL`, for a process of its own.
    pub(crate) fn url(&self) -> String {
        self.options.to_url_lossy().into()
    }

    /// The pools of a server: through a pooler where the tests are to go through one.
    pub(crate) fn pools(&self, connections: u32) -> Pools {
        match self.pooler() {
            Some(pooler) => Pools::new(Route::direct(self.options()).through(pooler), connections),
            None => store::connect(self.options(), connections).into(),
        }
    }

    /// How to connect through the pooler, where the tests are to go through one.
    fn pooler(&self) -> Option<PgConnectOptions> {
        let is_wanted = pooler::is_wanted();
        is_wanted.then(|| POOLER.get().expect("started with the first database").options(&self.options))
    }

    /// The settings of a server's way to it.
    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        match self.pooler() {
            Some(pooler) => {
                vec![("DATABASE_URL", pooler.to_url_lossy().into()), ("DATABASE_DIRECT_URL", self.url())]
            }
            None => vec![("DATABASE_URL", self.url())],
        }
    }

    /// The pools of a server behind a pooler in transaction mode.
    pub(crate) async fn pooled(&self, connections: u32) -> Pools {
        Pools::new(Route::direct(self.options()).through(pooler().await.options(&self.options)), connections)
    }

    /// The `DATABASE_URL` that leads through the pooler.
    pub(crate) async fn pooled_url(&self) -> String {
        pooler().await.options(&self.options).to_url_lossy().into()
    }

    /// A pool of a few connections, as a server has them.
    pub(crate) fn pool(&self) -> PgPool {
        store::connect(self.options(), 4)
    }
}

impl Drop for TestDatabase {
    /// Best effort: the next start on the folder drops what is left.
    fn drop(&mut self) {
        let name = std::mem::take(&mut self.name);
        RUNTIME.spawn(async move {
            if let Ok(mut admin) = server().await.connect_options().database("postgres").connect().await {
                let _ = sqlx::raw_sql(AssertSqlSafe(format!("drop database {name} with (force)")))
                    .execute(&mut admin)
                    .await;
            }
        });
    }
}

/// With RUST_LOG set, what the servers in this process log goes to stderr, as theirs does: somebody wants to look for secrets in it.
fn log_if_asked() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        if let Ok(filter) = std::env::var("RUST_LOG") {
            let log = LogArgs { log_format: LogFormat::Json, rust_log: Some(filter) };
            log.start("off", None).expect("a filter");
        }
    });
}

async fn server() -> &'static Embedded {
    SERVER.get_or_init(|| async { RUNTIME.spawn(start()).await.expect("started") }).await
}

/// Takes the first folder that no other run of the tests holds. A folder is used again: a warm start is quick, and nothing piles up.
async fn start() -> Embedded {
    for slot in 1.. {
        let folder = format!("category-mirror-tests-{}-{slot}", nix::unistd::geteuid());
        let mut options = Options::new(PROGRAM, std::env::temp_dir().join(folder));
        options.durability = Durability::Volatile;
        // Up to 40 for each of as many tests as there are processors.
        options.max_connections = 800;
        match Embedded::start(options).await {
            Ok(server) => {
                make_template(&server).await;
                return server;
            }
            Err(Error::Locked { .. } | Error::VersionMismatch { .. }) => {}
            Err(error) => panic!("the tests need a PostgreSQL: {error}"),
        }
    }
    unreachable!("some slot is free")
}

async fn make_template(server: &Embedded) {
    let mut admin = connect(server, "postgres").await;
    let old = "select datname::text from pg_database where datname like 'test\\_%' or datname = 'migrated'";
    for name in sqlx::query_scalar::<_, String>(old).fetch_all(&mut admin).await.expect("listed") {
        execute(&mut admin, format!("drop database {name} with (force)")).await;
    }
    execute(&mut admin, "create database migrated".into()).await;
    let pool = PgPool::connect_with(server.connect_options().database("migrated")).await.expect("connected");
    migrations::migrate(&pool).await.expect("migrated");
    // A template must not be in use.
    pool.close().await;
}

async fn connect(server: &Embedded, database: &str) -> PgConnection {
    server.connect_options().database(database).connect().await.expect("connected")
}

/// The names are our own.
async fn execute(connection: &mut PgConnection, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.expect("executed");
}

#[tokio::test]
async fn a_test_has_its_database_for_itself_and_reaches_it_by_url() {
    let (one, other) = (create().await, create().await);
    let mut connection = PgConnection::connect(&one.url()).await.expect("connected");
    sqlx::raw_sql("create table mine ()").execute(&mut connection).await.expect("created");
    let (here, elsewhere) = (table(&one).await, table(&other).await);
    assert_eq!((here.as_deref(), elsewhere), (Some("mine"), None));
}

async fn table(database: &TestDatabase) -> Option<String> {
    sqlx::query_scalar("select to_regclass('mine')::text").fetch_one(&database.pool()).await.expect("read")
}
