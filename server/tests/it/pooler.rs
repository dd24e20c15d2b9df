//! PgBouncer in transaction mode between a server and its database: every transaction gets another session.
//!
//! With `TEST_POOLER=pgbouncer`, every server of these tests is behind it.

use std::{env, fs, os::unix::fs::MetadataExt, path::Path, process::Child};

use category_mirror::postgres::Embedded;
use nix::unistd::{Gid, Uid};
use sqlx::{ConnectOptions, Connection, postgres::PgConnectOptions};
use tempfile::TempDir;

use crate::support::pooler;

mod answers;
mod refusals;
mod restarts;

/// Fewer sessions than any server here has connections, so that they go from hand to hand.
const SESSIONS: u32 = 4;

/// Whether every server is to be behind a pooler.
pub(crate) fn is_wanted() -> bool {
    match env::var("TEST_POOLER") {
        Ok(pooler) => {
            assert_eq!(pooler, "pgbouncer", "TEST_POOLER is one that the tests can start");
            true
        }
        Err(_) => false,
    }
}

/// Whether servers are behind a pooler with fewer sessions than they have connections: then calls wait for sessions, and how many connections
/// they hold cannot be seen at the database.
pub(crate) fn has_few_sessions() -> bool {
    let has = is_wanted();
    if has {
        eprintln!("not tested, because the pooler has {SESSIONS} sessions");
    }
    has
}

/// Whether there is one. Where it is wanted, there has to be.
pub(crate) fn is_installed() -> bool {
    let is_installed = pooler::program().is_some();
    assert!(is_installed || !is_wanted(), "install pgbouncer");
    if !is_installed {
        eprintln!("not tested, because pgbouncer is not installed");
    }
    is_installed
}

/// A PgBouncer in front of an embedded PostgreSQL, which ends with the thread that has started it.
pub(crate) struct PgBouncer {
    folder: TempDir,
    child: Child,
}

impl PgBouncer {
    /// Starts one in transaction mode in front of `server`, whose folder is `data`. Nothing of it helps a client: no setting is ignored at the
    /// startup, and no statement is prepared for it again.
    pub(crate) async fn start(server: &Embedded, data: &Path) -> Self {
        let settings = format!("pool_mode = transaction\ndefault_pool_size = {SESSIONS}\n");
        Self::start_with(server, data, &settings).await
    }

    /// Starts one with these settings.
    pub(crate) async fn start_with(server: &Embedded, data: &Path, other: &str) -> Self {
        let sockets = data.join("socket");
        let (user, group) = (user_of(&sockets), group_of(&sockets));
        let_in(server, data, user).await;
        let folder = tempfile::tempdir().expect("a folder");
        pooler::configure(folder.path(), &format!("* = host={} port=5432\n", sockets.display()), other);
        let user = Uid::effective().is_root().then_some((user, group));
        let pooler = Self { child: pooler::spawn(folder.path(), user), folder };
        pooler.answers(&server.connect_options()).await;
        pooler
    }

    /// How to connect through it to the database of these options.
    pub(crate) fn options(&self, direct: &PgConnectOptions) -> PgConnectOptions {
        direct.clone().socket(self.folder.path()).port(pooler::PORT)
    }

    async fn answers(&self, direct: &PgConnectOptions) {
        let options = self.options(direct).extra_float_digits(None);
        let started = std::time::Instant::now();
        while let Err(error) = connect(&options).await {
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(started.elapsed().as_secs() < 30, "pgbouncer does not answer: {error}\n{log}");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn connect(options: &PgConnectOptions) -> Result<(), sqlx::Error> {
    options.connect().await?.close().await
}

/// The user of a pooler before the server whose sockets are in this folder.
fn user_of(sockets: &Path) -> Uid {
    Uid::from_raw(fs::metadata(sockets).expect("the folder of the server's socket").uid())
}

fn group_of(sockets: &Path) -> Gid {
    Gid::from_raw(fs::metadata(sockets).expect("the folder of the server's socket").gid())
}

/// Lets the pooler's user in, who is not the one of the tests where these run as root.
async fn let_in(server: &Embedded, data: &Path, user: Uid) {
    let Ok(Some(user)) = nix::unistd::User::from_uid(user) else { panic!("{user} has no name") };
    let map = data.join("pg_ident.conf");
    let known = fs::read_to_string(&map).expect("the map of users");
    fs::write(&map, format!("{known}server \"{}\" category_mirror\n", user.name)).expect("written");
    let mut connection = server.connect_options().database("postgres").connect().await.expect("connected");
    sqlx::raw_sql("select pg_reload_conf()").execute(&mut connection).await.expect("read again");
    connection.close().await.expect("closed");
}
