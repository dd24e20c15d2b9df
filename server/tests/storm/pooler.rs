//! PgBouncer in transaction mode before the database, for some of the servers.

use std::{
    path::{Path, PathBuf},
    process::Child,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{net::UnixStream, time::sleep};

use crate::{
    database::Database,
    support::{self, name::Name},
};

/// Sessions for each process: fewer than it has connections, so that they go from hand to hand. The other number is for every other reload.
const SESSIONS: [u32; 2] = [4, 6];
/// How long it may take to end in good order, which it does when no transaction is under way.
const END_TIMEOUT: Duration = Duration::from_secs(10);
/// So many processes are known ahead of those that were started.
const KNOWN_AHEAD: u32 = 500;

/// A pooler that is killed, restarted and reloaded. Its way to the database follows the primary.
pub(crate) struct Pooler {
    way: Arc<Name>,
    folder: PathBuf,
    /// Dropped or replaced, it is killed. One trouble at a time.
    trouble: tokio::sync::Mutex<Killed>,
    /// How many processes it knows.
    known: Mutex<u32>,
    reloads: AtomicU32,
}

/// A process that is killed when it is dropped.
struct Killed(Child);

impl Pooler {
    /// Starts one; `None`: PgBouncer is not installed.
    pub(crate) async fn start(folder: &Path, database: &Database) -> Option<Self> {
        if support::pooler::program().is_none() {
            eprintln!("storm: pgbouncer is not installed, so every server speaks to the database directly");
            return None;
        }
        let (way, folder) = (database.way().await, folder.join("pgbouncer"));
        std::fs::create_dir(&folder).expect("a folder");
        configure(&folder, &way, KNOWN_AHEAD, SESSIONS[0]);
        let trouble = tokio::sync::Mutex::new(Killed::start(&folder).await);
        Some(Self { way, folder, trouble, known: Mutex::new(KNOWN_AHEAD), reloads: AtomicU32::new(0) })
    }

    /// Its socket.
    pub(crate) fn socket(&self) -> PathBuf {
        socket(&self.folder)
    }

    /// Makes a `DATABASE_URL` for process number `number`, by a way to the pooler.
    pub(crate) fn url(&self, way: std::net::SocketAddr, number: u32) -> String {
        let mut known = self.known();
        if number + KNOWN_AHEAD / 2 > *known {
            *known += KNOWN_AHEAD;
            self.write(*known);
            // Where it is away it reads them when it starts.
            if let Ok(pooler) = self.trouble.try_lock() {
                pooler.signal(Signal::SIGHUP);
            }
        }
        format!("postgres://category_mirror@{way}/p{number}?sslmode=disable")
    }

    /// Ends it with this signal, and starts it again after a while.
    pub(crate) async fn strike(&self, signal: Signal, away: Duration) {
        let mut pooler = self.trouble.lock().await;
        pooler.signal(signal);
        let asked = Instant::now();
        while pooler.0.try_wait().expect("our child").is_none() {
            // It may wait for a transaction at a host that has vanished.
            if asked.elapsed() > END_TIMEOUT {
                pooler.signal(Signal::SIGKILL);
            }
            sleep(Duration::from_millis(10)).await;
        }
        sleep(away).await;
        *pooler = Killed::start(&self.folder).await;
    }

    /// Has it read its settings again, with another number of sessions.
    pub(crate) async fn reload(&self) {
        let pooler = self.trouble.lock().await;
        self.reloads.fetch_add(1, Ordering::Relaxed);
        self.write(*self.known());
        pooler.signal(Signal::SIGHUP);
    }

    fn known(&self) -> MutexGuard<'_, u32> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, known: u32) {
        let sessions = SESSIONS[self.reloads.load(Ordering::Relaxed) as usize % SESSIONS.len()];
        configure(&self.folder, &self.way, known, sessions);
    }
}

/// Each process has a database of its own there, as far as it knows: a pooler keeps no setting of a client's that names it for the
/// journal, so the session has to know whose it is.
fn configure(folder: &Path, way: &Name, known: u32, sessions: u32) {
    let (host, port) = (way.address().ip(), way.address().port());
    let database = |number: u32| {
        let names_itself = format!("select set_config(''storm.process'', ''p{number}'', false)");
        format!("p{number} = host={host} port={port} dbname=category_mirror connect_query='{names_itself}'\n")
    };
    let databases: String = (1..=known).map(database).collect();
    // Its own default is to try a database again that refused a login after 15 s.
    let others = format!("pool_mode = transaction\nserver_login_retry = 1\ndefault_pool_size = {sessions}\n");
    support::pooler::configure(folder, &databases, &others);
}

fn socket(folder: &Path) -> PathBuf {
    folder.join(format!(".s.PGSQL.{}", support::pooler::PORT))
}

impl Killed {
    /// Waits until it answers: a signal that comes earlier would end it.
    async fn start(folder: &Path) -> Self {
        let mut pooler = Self(support::pooler::spawn(folder, support::account()));
        while UnixStream::connect(socket(folder)).await.is_err() {
            let ended = pooler.0.try_wait().expect("our child");
            assert!(ended.is_none(), "pgbouncer: {ended:?}, see {}", folder.join("log").display());
            sleep(Duration::from_millis(10)).await;
        }
        pooler
    }

    fn signal(&self, signal: Signal) {
        let pid = self.0.id().try_into().expect("a pid");
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
        let _ = self.0.wait();
    }
}
