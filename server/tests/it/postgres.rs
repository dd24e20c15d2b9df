//! The embedded PostgreSQL: real processes, killed for real.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use category_mirror::PROGRAM;
use category_mirror::postgres::{DataDirError, Durability, Embedded, Error, Options};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::{ConnectOptions, Connection};
use tempfile::TempDir;

/// A folder that PostgreSQL's user can reach, removed at the end.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("mode");
        Self(folder)
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    /// Without waiting for the disk, which makes a cold start quicker; killed processes lose nothing by that.
    async fn start(&self) -> Result<Embedded, Error> {
        let mut options = Options::new(PROGRAM, self.data());
        options.durability = Durability::Volatile;
        Embedded::start(options).await
    }

    async fn start_durable(&self) -> Result<Embedded, Error> {
        Embedded::start(Options::new(PROGRAM, self.data())).await
    }
}

async fn write(server: &Embedded, text: &str) {
    let mut connection = server.connect_options().connect().await.expect("connected");
    sqlx::raw_sql("create table if not exists note (text text)").execute(&mut connection).await.expect("created");
    sqlx::query("insert into note values ($1)").bind(text).execute(&mut connection).await.expect("inserted");
    connection.close().await.expect("closed");
}

async fn notes(server: &Embedded) -> Vec<String> {
    let mut connection = server.connect_options().connect().await.expect("connected");
    sqlx::query_scalar("select text from note").fetch_all(&mut connection).await.expect("read")
}

async fn setting(server: &Embedded, name: &str) -> String {
    let mut connection = server.connect_options().connect().await.expect("connected");
    sqlx::query_scalar("select current_setting($1)").bind(name).fetch_one(&mut connection).await.expect("read")
}

fn kill_hard(pid: u32) {
    kill(Pid::from_raw(pid.try_into().expect("a pid")), Signal::SIGKILL).expect("killed");
}

#[tokio::test]
async fn data_survives_a_stop_and_a_start() {
    let folder = Folder::new();
    let server = folder.start().await.expect("cold start");
    write(&server, "kept").await;
    let first = server.pid();
    server.stop().await;
    assert!(!folder.data().join("postgres/postmaster.pid").exists(), "it was a clean stop");

    let server = folder.start().await.expect("warm start");
    assert_ne!(server.pid(), first);
    assert_eq!(notes(&server).await, ["kept"]);
    server.stop().await;
}

#[tokio::test]
async fn it_is_durable_and_private() {
    let folder = Folder::new();
    let server = folder.start_durable().await.expect("started");
    for (name, value) in [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("data_checksums", "on"),
        ("listen_addresses", ""),
        ("server_encoding", "UTF8"),
        ("lc_collate", "C"),
    ] {
        // `lc_collate` is a setting of the server only up to PostgreSQL 15.
        if name != "lc_collate" || server.version() == "15" {
            assert_eq!(setting(&server, name).await, value, "{name}");
        }
    }
    for name in ["socket", "postgres"] {
        let mode = fs::metadata(folder.data().join(name)).expect("exists").permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{name}");
    }
    // The operating system's user has no other role, so no name is to be guessed.
    let stranger = server.connect_options().username("postgres").connect().await;
    assert!(matches!(stranger, Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("28000")));
    server.stop().await;
}

#[tokio::test]
async fn a_second_server_on_the_folder_is_refused() {
    let folder = Folder::new();
    let server = folder.start().await.expect("started");
    let error = folder.start().await.expect_err("locked");
    assert!(matches!(error, Error::Locked { holder: Some(pid), .. } if pid == std::process::id()), "{error}");
    write(&server, "undisturbed").await;
    server.stop().await;
}

#[tokio::test]
async fn a_killed_postmaster_is_replaced_and_nothing_is_lost() {
    let folder = Folder::new();
    let server = folder.start_durable().await.expect("started");
    write(&server, "committed").await;
    let mut pids = server.watch_pid();
    kill_hard(*pids.borrow_and_update());
    pids.changed().await.expect("started again");
    assert_eq!(notes(&server).await, ["committed"]);
    server.stop().await;
}

#[tokio::test]
async fn a_dropped_server_ends_and_its_folder_can_be_used_at_once() {
    let folder = Folder::new();
    let server = folder.start().await.expect("started");
    write(&server, "kept").await;
    let keeper = server.watch_pid();
    drop(server);
    // The keeper lets go of the folder when it is done.
    let mut ended = keeper;
    while ended.changed().await.is_ok() {}
    let server = folder.start().await.expect("started again");
    assert_eq!(notes(&server).await, ["kept"]);
    server.stop().await;
}

#[tokio::test]
async fn a_stale_pid_file_does_not_keep_it_from_starting() {
    let (folder, elsewhere) = (Folder::new(), Folder::new());
    folder.start().await.expect("started").stop().await;
    // As after a reboot, the pid is by now that of another process of the same user: PostgreSQL alone would refuse.
    let other = elsewhere.start().await.expect("started");
    let cluster = folder.data().join("postgres");
    let text = format!(
        "{}\n{}\n1700000000\n5432\n../socket\n\n  5432001    262153\nready   \n",
        other.pid(),
        cluster.display()
    );
    fs::write(cluster.join("postmaster.pid"), text).expect("written");
    fs::write(folder.data().join("socket/.s.PGSQL.5432.lock"), format!("{}\n", other.pid())).expect("written");

    let server = folder.start().await.expect("started in spite of it");
    assert_ne!(server.pid(), other.pid());
    write(&other, "undisturbed").await;
    server.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn an_interrupted_initialisation_starts_over() {
    let folder = Folder::new();
    folder.start().await.expect("claimed").stop().await;
    fs::rename(folder.data().join("postgres"), folder.data().join("postgres.new")).expect("half done");
    fs::remove_file(folder.data().join("postgres.new/PG_VERSION")).expect("removed");
    let server = folder.start().await.expect("started");
    assert!(!folder.data().join("postgres.new").exists());
    server.stop().await;
}

/// Starts a process that owns a server on the folder, kills it hard, and tells which postmaster it had.
fn kill_an_owner(folder: &Folder) -> u32 {
    let mut owner = Command::new(std::env::current_exe().expect("this binary"))
        .args(["--ignored", "--exact", "--nocapture", "postgres::owner_process"])
        .env("OWNER_DATA_DIR", folder.data())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let mut lines = BufReader::new(owner.stdout.take().expect("piped")).lines();
    let line = lines
        .find_map(|line| line.expect("read").split_once("postmaster=").map(|(_, pid)| pid.to_owned()))
        .expect("ready");
    kill_hard(owner.id());
    owner.wait().expect("reaped");
    line.parse().expect("a pid")
}

#[tokio::test]
async fn data_survives_kill_9_of_the_server_that_owns_it() {
    let folder = Folder::new();
    let orphan = kill_an_owner(&folder);
    // At once, so that the orphan is still running or just stopping.
    let server = folder.start_durable().await.expect("started again");
    assert_ne!(server.pid(), orphan);
    assert_eq!(notes(&server).await, ["before the kill"]);
    server.stop().await;
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn the_database_ends_by_itself_when_its_server_is_killed() {
    let folder = Folder::new();
    kill_an_owner(&folder);
    let pid_file = folder.data().join("postgres/postmaster.pid");
    let gone = async {
        let mut again = tokio::time::interval(Duration::from_millis(10));
        while pid_file.exists() {
            again.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.expect("it stopped, and removed its pid file");
}

/// Not a test by itself: the process that the tests above kill. Ends by itself when theirs is gone.
#[tokio::test]
#[ignore = "a process for other tests to kill"]
async fn owner_process() {
    let data_dir = std::env::var_os("OWNER_DATA_DIR").expect("run by another test only");
    let server = Embedded::start(Options::new(PROGRAM, data_dir)).await.expect("started");
    write(&server, "before the kill").await;
    println!("\npostmaster={}", server.pid());
    std::io::stdout().flush().expect("written");
    let _ = std::io::stdin().read(&mut [0]);
    server.stop().await;
}

#[tokio::test]
async fn a_folder_of_another_major_version_is_refused_and_untouched() {
    let folder = Folder::new();
    folder.start().await.expect("started").stop().await;
    let version = folder.data().join("postgres/PG_VERSION");
    fs::write(&version, "9\n").expect("written");
    let error = folder.start().await.expect_err("too old");
    assert!(matches!(&error, Error::VersionMismatch { data, .. } if data == "9"), "{error}");
    assert!(!folder.data().join("postgres/postmaster.pid").exists());
    assert_eq!(fs::read_to_string(version).expect("read"), "9\n");
}

#[tokio::test]
async fn a_folder_that_is_not_ours_is_untouched() {
    let folder = Folder::new();
    fs::create_dir(folder.data()).expect("created");
    fs::write(folder.data().join("thesis.txt"), "years of work").expect("written");
    let error = folder.start().await.expect_err("not ours");
    assert!(matches!(error, Error::DataDir(DataDirError::NotOurs { .. })), "{error}");
    assert_eq!(fs::read_dir(folder.data()).expect("listed").count(), 1);
}

#[tokio::test]
async fn a_folder_without_binaries_is_named() {
    let folder = Folder::new();
    let mut options = Options::new(PROGRAM, folder.data());
    options.bin_dir = Some(folder.0.path().join("bin"));
    let error = Embedded::start(options).await.expect_err("no binaries");
    assert!(matches!(error, Error::BinDir { .. }) && error.to_string().contains("PG_BIN_DIR"), "{error}");
    assert!(!folder.data().exists(), "nothing was written");
}

#[tokio::test]
async fn a_path_longer_than_a_sockets_works() {
    let folder = Folder::new();
    let mut options = Options::new(PROGRAM, folder.data().join("a".repeat(100)).join("it's, \"quoted\" & spaced"));
    options.max_connections = 10;
    let server = Embedded::start(options).await.expect("started");
    write(&server, "reached").await;
    assert_eq!(notes(&server).await, ["reached"]);
    assert_eq!(setting(&server, "max_connections").await, "10");
    server.stop().await;
}

#[tokio::test]
async fn a_closed_folder_on_the_way_is_named() {
    // Only root runs PostgreSQL as somebody else.
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let folder = Folder::new();
    fs::set_permissions(folder.0.path(), Permissions::from_mode(0o700)).expect("mode");
    let error = folder.start().await.expect_err("closed");
    let closed = folder.0.path().canonicalize().expect("exists");
    assert!(matches!(&error, Error::UnreachableFolder { blocked, .. } if *blocked == closed), "{error}");
    assert!(!folder.data().exists(), "nothing was written");
}
