//! PostgreSQL servers of which one takes writes and another one streams from it.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};

use super::{account, command, own_folder};

const ROLE: &str = "category_mirror";

/// How long something may take that needs only time: recovery takes a moment, on a slow disk more.
const WAIT_TIMEOUT: Duration = Duration::from_secs(120);

/// Of every server. A standby tries again at once when its primary was away.
const SETTINGS: [&str; 3] = ["listen_addresses=", "timezone=UTC", "wal_retrieve_retry_interval=100ms"];

/// A PostgreSQL with a folder of its own. Dropped, it ends at once.
pub(crate) struct Node {
    pub(crate) data: PathBuf,
    pub(crate) sockets: PathBuf,
    settings: Vec<String>,
    server: Child,
}

impl Node {
    /// Starts a new one in folders of `folder`, with an empty database, and with these settings of PostgreSQL, such as `fsync=off`.
    pub(crate) async fn create(folder: &Path, name: &str, settings: &[&str]) -> Self {
        let data = own_folder(&folder.join(name));
        let arguments = ["-D", &text(&data), "-U", ROLE, "--auth=trust", "--no-sync", "--no-locale", "-E", "UTF8"];
        run("initdb", &arguments).await;
        let all = SETTINGS.iter().chain(settings).map(|&setting| setting.to_owned()).collect();
        let node = Self::start(data, all).await;
        node.execute("create database category_mirror").await;
        node
    }

    /// Starts a standby that streams from this one.
    pub(crate) async fn copy(&self, folder: &Path, name: &str) -> Self {
        let (data, sockets) = (own_folder(&folder.join(name)), text(&self.sockets));
        let copy = ["-D", &text(&data), "-h", &sockets, "-U", ROLE, "-X", "stream", "-c", "fast", "-R", "--no-sync"];
        run("pg_basebackup", &copy).await;
        Self::start(data, self.settings.clone()).await
    }

    async fn start(data: PathBuf, settings: Vec<String>) -> Self {
        let sockets = own_folder(&data.with_extension("sockets"));
        let server = spawn(&data, &sockets, &settings);
        let mut node = Self { data, sockets, settings, server };
        node.answers().await;
        node
    }

    /// Waits until it answers, and starts it again as often as it ends: what its predecessor has left may be in its way for a moment.
    pub(crate) async fn answers(&mut self) {
        let since = Instant::now();
        while self.options().database("postgres").connect().await.is_err() {
            assert!(since.elapsed() < WAIT_TIMEOUT, "no PostgreSQL: see {}", log(&self.data).display());
            if self.server.try_wait().is_ok_and(|ended| ended.is_some()) {
                self.server = spawn(&self.data, &self.sockets, &self.settings);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Its socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.sockets.join(".s.PGSQL.5432")
    }

    /// How to connect to it, past every proxy.
    pub(crate) fn options(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass().socket(&self.sockets).username(ROLE).database(ROLE)
    }

    /// Ends it with a signal to its first process, and waits for that: with `SIGQUIT` as a crash does.
    pub(crate) async fn end(&mut self, signal: Signal) {
        self.signal(signal);
        while self.server.try_wait().expect("our child").is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = self.server.id().try_into().expect("a pid");
        let _ = kill(Pid::from_raw(pid), signal);
    }

    /// Makes a standby the primary.
    pub(crate) async fn promote(&self) {
        run("pg_ctl", &["promote", "-D", &text(&self.data), "-w"]).await;
    }

    /// Has a primary refuse writes from now on.
    pub(crate) async fn refuse_writes(&self) {
        self.execute("alter system set default_transaction_read_only = on").await;
        self.execute("select pg_reload_conf()").await;
    }

    /// Has a primary answer each commit once its standby has it. Ends when that is in force, and the standby has all that is committed.
    pub(crate) async fn require_standby(&self) {
        self.execute("alter system set synchronous_standby_names = '*'").await;
        self.execute("select pg_reload_conf()").await;
        // A new session has the settings of the first process, which has woken the checkpointer by then. That puts the setting in force
        // for everybody, at the latest between two checkpoints.
        self.becomes("select current_setting('synchronous_standby_names') = '*'").await;
        self.execute("checkpoint").await;
        self.execute("checkpoint").await;
        self.becomes("select exists (select from pg_stat_replication where sync_state = 'sync')").await;
        // The answer to a commit comes when the standby has everything up to it.
        self.execute("select pg_logical_emit_message(true, 'standby', '')").await;
    }

    /// Answers a question.
    pub(crate) async fn is(&self, question: &'static str) -> bool {
        let mut connection = self.connect().await;
        let answer = sqlx::query_scalar(question).fetch_one(&mut connection).await.expect("answered");
        connection.close().await.expect("closed");
        answer
    }

    async fn becomes(&self, question: &'static str) {
        let since = Instant::now();
        while !self.is(question).await {
            assert!(since.elapsed() < WAIT_TIMEOUT, "waited in vain: {question}; see {}", log(&self.data).display());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn execute(&self, sql: &'static str) {
        let mut connection = self.connect().await;
        sqlx::raw_sql(sql).execute(&mut connection).await.expect("executed");
        connection.close().await.expect("closed");
    }

    async fn connect(&self) -> PgConnection {
        self.options().database("postgres").connect().await.expect("connected")
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

/// Beside the folder of its data, which a copy of it begins with.
fn log(data: &Path) -> PathBuf {
    data.with_extension("log")
}

fn spawn(data: &Path, sockets: &Path, settings: &[String]) -> Child {
    let mut command = program("postgres");
    command.arg("-D").arg(data).arg("-c").arg(format!("unix_socket_directories={}", sockets.display()));
    command.args(settings.iter().flat_map(|setting| ["-c", setting]));
    let log = File::options().create(true).append(true).open(log(data)).expect("a log");
    command.stderr(log).spawn().expect("a PostgreSQL")
}

/// One of PostgreSQL's programs. It ends with the thread that starts it.
fn program(name: &str) -> Command {
    command(&binaries().join(name), account(), "QUIT")
}

/// Runs a program to its end, by a thread that may wait.
async fn run(name: &str, arguments: &[&str]) {
    let mut command = program(name);
    command.args(arguments).stderr(Stdio::piped());
    let ended = tokio::task::spawn_blocking(move || command.output());
    let output = ended.await.expect("no panic").expect("run");
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
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
