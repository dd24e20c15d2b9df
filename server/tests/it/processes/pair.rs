//! A primary PostgreSQL and a standby that streams from it. A commit is answered once the standby has it.

use std::{
    env, fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Gid, Pid, Uid, User, chown},
};
use sqlx::{ConnectOptions, PgConnection, postgres::PgConnectOptions};
use tempfile::TempDir;

use super::site::{folder, until};

const ROLE: &str = "category_mirror";

/// The two. Dropped, they end.
pub(super) struct Pair {
    /// Takes writes, until it is stopped.
    pub(super) primary: Node,
    /// Takes none, until it is promoted.
    pub(super) standby: Node,
    _folder: TempDir,
}

/// A PostgreSQL with a folder of its own.
pub(super) struct Node {
    data: PathBuf,
    sockets: PathBuf,
    server: Child,
}

impl Pair {
    /// Starts both, with an empty database.
    pub(super) async fn start() -> Self {
        let folder = folder();
        let [primary_data, primary_sockets, standby_data, standby_sockets] =
            ["a", "sa", "b", "sb"].map(|name| own_folder(&folder.path().join(name)));
        run(
            "initdb",
            &["-D", &text(&primary_data), "-U", ROLE, "--auth=trust", "--no-sync", "--no-locale", "-E", "UTF8"],
        );
        let primary = Node::start(primary_data, primary_sockets).await;
        primary.execute("create database category_mirror").await;
        let sockets = text(&primary.sockets);
        let copy =
            ["-D", &text(&standby_data), "-h", &sockets, "-U", ROLE, "-X", "stream", "-c", "fast", "-R", "--no-sync"];
        run("pg_basebackup", &copy);
        let standby = Node::start(standby_data, standby_sockets).await;
        primary.execute("alter system set synchronous_standby_names = '*'").await;
        primary.execute("select pg_reload_conf()").await;
        let is_synchronous = "select exists (select from pg_stat_replication where sync_state = 'sync')";
        until("the standby is synchronous", || async { primary.is(is_synchronous).await }).await;
        Self { primary, standby, _folder: folder }
    }
}

impl Node {
    async fn start(data: PathBuf, sockets: PathBuf) -> Self {
        let mut command = command("postgres");
        let settings = [
            "listen_addresses=".to_owned(),
            format!("unix_socket_directories={}", sockets.display()),
            "max_connections=200".to_owned(),
            "fsync=off".to_owned(),
            "timezone=UTC".to_owned(),
        ];
        command.arg("-D").arg(&data).args(settings.iter().flat_map(|setting| ["-c", setting]));
        let server = command.spawn().expect("a PostgreSQL");
        let node = Self { data, sockets, server };
        until("a PostgreSQL answers", || async { node.options().database("postgres").connect().await.is_ok() }).await;
        node
    }

    /// Its socket.
    pub(super) fn socket(&self) -> PathBuf {
        self.sockets.join(".s.PGSQL.5432")
    }

    /// How to connect to it, past every proxy.
    pub(super) fn options(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass().socket(&self.sockets).username(ROLE).database(ROLE)
    }

    /// Ends it as a crash does.
    pub(super) fn crash(&mut self) {
        self.signal(Signal::SIGQUIT);
        self.server.wait().expect("ended");
    }

    /// Makes a standby the primary.
    pub(super) fn promote(&self) {
        run("pg_ctl", &["promote", "-D", &text(&self.data), "-w"]);
    }

    /// Has a primary refuse writes from now on.
    pub(super) async fn refuse_writes(&self) {
        self.execute("alter system set default_transaction_read_only = on").await;
        self.execute("select pg_reload_conf()").await;
    }

    /// Answers a question.
    pub(super) async fn is(&self, question: &'static str) -> bool {
        sqlx::query_scalar(question).fetch_one(&mut self.connect().await).await.expect("answered")
    }

    async fn execute(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&mut self.connect().await).await.expect("executed");
    }

    async fn connect(&self) -> PgConnection {
        self.options().database("postgres").connect().await.expect("connected")
    }

    fn signal(&self, signal: Signal) {
        let pid = self.server.id().try_into().expect("a pid");
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.server.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.signal(Signal::SIGQUIT);
            let _ = self.server.wait();
        }
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// The user that PostgreSQL runs as where the tests are root, which it refuses to be.
fn account() -> Option<(Uid, Gid)> {
    let named = |name| User::from_name(name).ok().flatten();
    let user = || named("postgres").or_else(|| named("nobody")).expect("a user that is not root");
    Uid::effective().is_root().then(user).map(|user| (user.uid, user.gid))
}

fn own_folder(path: &Path) -> PathBuf {
    fs::create_dir(path).expect("a folder");
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).expect("a mode");
    if let Some((user, group)) = account() {
        chown(path, Some(user), Some(group)).expect("an owner");
    }
    path.to_owned()
}

/// One of PostgreSQL's programs, as the user that runs it.
fn command(program: &str) -> Command {
    let mut command = Command::new(binaries().join(program));
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Some((user, group)) = account() {
        command.uid(user.as_raw()).gid(group.as_raw());
    }
    command
}

fn run(program: &str, arguments: &[&str]) {
    let output = command(program).args(arguments).stderr(Stdio::piped()).output().expect("run");
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

/// `PG_BIN_DIR`, or the newest that is installed where Debian has them.
fn binaries() -> PathBuf {
    if let Some(folder) = env::var_os("PG_BIN_DIR") {
        return folder.into();
    }
    let versions = fs::read_dir("/usr/lib/postgresql").expect("a PostgreSQL, or PG_BIN_DIR");
    let version = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().parse::<u32>().ok();
    let newest = versions.filter_map(Result::ok).max_by_key(version).expect("a PostgreSQL");
    newest.path().join("bin")
}
