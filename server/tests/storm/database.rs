//! The storm's own PostgreSQL, which is durable: what it loses when it is killed is lost for good.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use category_mirror::{
    postgres::{Embedded, Options},
    store::{self, Store, migrations},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde::de::DeserializeOwned;
use sqlx::{PgPool, Postgres, postgres::PgArguments, query::QueryScalar, types::Json};
use tokio::sync::Mutex;

use crate::{journal, platform, settings};

/// Recovery takes a moment, on a slow disk more.
const PATIENCE: Duration = Duration::from_secs(120);

/// A PostgreSQL that is restarted and killed.
pub(crate) struct Database {
    embedded: Embedded,
    /// Connections past every proxy.
    pub(crate) pool: PgPool,
    /// The same for the service's own statements.
    pub(crate) store: Store,
    /// When the last trouble was over. One at a time.
    trouble: Mutex<Option<Instant>>,
}

/// It is left alone for so long after each trouble: where a recovery takes long, nothing else would happen any more.
const REST: Duration = Duration::from_millis(1500);

impl Database {
    /// Starts one in a new folder, with the newest schema and the journal.
    pub(crate) async fn start(folder: PathBuf) -> Self {
        let mut options = Options::new(folder);
        options.max_connections = 400;
        let embedded = Embedded::start(options).await.expect("the storm needs a PostgreSQL");
        let pool = store::connect(embedded.connect_options(), 8);
        migrations::migrate(&pool).await.expect("migrated");
        journal::begin(&pool).await.expect("a journal");
        platform::begin(&pool).await.expect("a journal");
        settings::begin(&pool).await.expect("a journal");
        let store = Store::new(pool.clone());
        Self { embedded, pool, store, trouble: Mutex::default() }
    }

    /// PostgreSQL's socket.
    pub(crate) fn socket(&self) -> PathBuf {
        let options = self.embedded.connect_options();
        options.get_socket().expect("a socket").join(".s.PGSQL.5432")
    }

    /// A `DATABASE_URL` for a process behind a proxy. The name is what the journal calls the process.
    pub(crate) fn url(&self, proxy: std::net::SocketAddr, process: &str) -> String {
        let options = self.embedded.connect_options();
        let (user, database) = (options.get_username().to_owned(), options.get_database().unwrap_or_default());
        format!("postgres://{user}@{proxy}/{database}?sslmode=disable&options[storm.process]={process}")
    }

    /// Sends the postmaster a signal that ends it, and waits until its successor answers. False when it does not; `None` where the last
    /// trouble is not over for long enough.
    pub(crate) async fn strike(&self, signal: Signal) -> Option<bool> {
        let mut over = self.trouble.try_lock().ok()?;
        if over.is_some_and(|over| over.elapsed() < REST) {
            return None;
        }
        let answers = self.end_and_wait(signal).await;
        *over = Some(Instant::now());
        Some(answers)
    }

    async fn end_and_wait(&self, signal: Signal) -> bool {
        let mut pid = self.embedded.watch_pid();
        let old = *pid.borrow_and_update();
        let Ok(postmaster) = i32::try_from(old) else { return false };
        if kill(Pid::from_raw(postmaster), signal).is_err() {
            return false;
        }
        let answers = async {
            let _ = pid.wait_for(|pid| *pid != old).await;
            while self.store.ping().await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, answers).await.is_ok()
    }

    /// Stops it.
    pub(crate) async fn stop(self) {
        self.store.close().await;
        self.embedded.stop().await;
    }
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
