//! PgBouncer in transaction mode between a server and its database: every transaction gets another session.
//!
//! With `TEST_POOLER=pgbouncer`, every server of these tests is behind it.

use std::{
    env, fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use category_mirror::postgres::Embedded;
use nix::unistd::{Gid, Uid, chown};
use sqlx::{ConnectOptions, Connection, postgres::PgConnectOptions};
use tempfile::TempDir;

mod answers;
mod refusals;
mod restarts;

/// Fewer sessions than any server here has connections, so that they go from hand to hand.
const SESSIONS: u32 = 4;
const PORT: u16 = 6432;

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

/// Whether there is one. Where it is wanted, there has to be.
pub(crate) fn is_installed() -> bool {
    let is_installed = program().is_some();
    assert!(is_installed || !is_wanted(), "install pgbouncer");
    if !is_installed {
        eprintln!("not tested, because pgbouncer is not installed");
    }
    is_installed
}

/// Administrators' folders are not in everybody's path.
fn program() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders.map(|folder| folder.join("pgbouncer")).find(|program| program.exists())
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
        let program = program().expect("pgbouncer is installed");
        let sockets = data.join("socket");
        let (user, group) = (user_of(&sockets), group_of(&sockets));
        let_in(server, data, user).await;
        let folder = tempfile::tempdir().expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
        chown(folder.path(), Some(user), Some(group)).expect("a folder of its own");
        let (settings, users) = (folder.path().join("pgbouncer.ini"), folder.path().join("users.txt"));
        fs::write(&users, "\"category_mirror\" \"\"\n").expect("written");
        fs::write(&settings, ini(&sockets, folder.path(), &users, other)).expect("written");

        // It refuses to run as root, and ends with this thread, which ends with the process.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        if Uid::effective().is_root() {
            command.args([format!("--reuid={user}"), format!("--regid={group}"), "--clear-groups".to_owned()]);
        }
        command.arg(program).arg("-q").arg(&settings).stdin(Stdio::null());
        let log = fs::File::create(folder.path().join("log")).expect("a log");
        command.stderr(log).stdout(Stdio::null());
        let pooler = Self { child: command.spawn().expect("started"), folder };
        pooler.answers(&server.connect_options()).await;
        pooler
    }

    /// How to connect through it to the database of these options.
    pub(crate) fn options(&self, direct: &PgConnectOptions) -> PgConnectOptions {
        direct.clone().socket(self.folder.path()).port(PORT)
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

fn ini(sockets: &Path, folder: &Path, users: &Path, other: &str) -> String {
    format!(
        "[databases]\n* = host={} port=5432\n[pgbouncer]\nlisten_addr =\nlisten_port = {PORT}\nunix_socket_dir = {}\nauth_type = trust\n\
         auth_file = {}\nmax_client_conn = 4000\nserver_idle_timeout = 5\n\
         autodb_idle_timeout = 5\n{other}",
        sockets.display(),
        folder.display(),
        users.display()
    )
}
