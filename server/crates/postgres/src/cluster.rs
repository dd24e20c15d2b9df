//! The database's folder, and how a server is started on it.
//!
//! ```text
//! DATA_DIR/          the server's; root's may be passed through by all
//!   lock             held by the server that uses the folder
//!   pg_hba.conf pg_ident.conf   written at each start
//!   postgres.log     of this start; `postgres.log.old` of the one before
//!   postgres/        the cluster, PostgreSQL's own folder: its user's, 0700
//!   socket/          its user's, 0700
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::{Uid, User};

use crate::account::Account;
use crate::binaries::Binaries;
use crate::data_dir::DataDir;
use crate::error::Error;
use crate::lock::Lock;
use crate::options::{Durability, Options};
use crate::postmaster::Postmaster;
use crate::{pid_file, spawn, stale_processes};

/// Recovery after a crash replays at most `max_wal_size` of log.
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// How long the rest of a stopped `initdb` is waited for; it writes for a second or so.
const REMOVE_TIMEOUT: Duration = Duration::from_secs(60);
const REMOVE_RETRY_DELAY: Duration = Duration::from_millis(50);

/// A cluster that is ours alone, initialised.
#[derive(Debug)]
pub(crate) struct Cluster {
    dir: DataDir,
    account: Account,
    binaries: Binaries,
    /// The only role, and the name of the database.
    role: String,
    durability: Durability,
    max_connections: u16,
    _lock: Lock,
}

impl Cluster {
    /// Takes the folder, and fills it where it is new. What can be known before is checked before anything is written.
    pub(crate) async fn open(options: &Options) -> Result<Self, Error> {
        let wanted = std::path::absolute(&options.data_dir).map_err(Error::io(&options.data_dir))?;
        let path = wanted.join("postgres");
        let account = Account::choose(&path)?;
        let version = if path.exists() { Some(read_version(&path)?) } else { None };
        let binaries = Binaries::find(options.bin_dir.as_deref(), version.as_deref(), &path, &account).await?;
        if !wanted.exists()
            && let Some(existing) = wanted.ancestors().find(|folder| folder.exists())
        {
            binaries.check_reachable(existing, &account).await?;
        }
        let dir = DataDir::claim(&options.program, &wanted)?;
        let lock = Lock::take(&dir)?;
        binaries.check_reachable(dir.path(), &account).await?;
        let Options { durability, max_connections, .. } = *options;
        let cluster = Self { dir, account, binaries, role: options.role(), durability, max_connections, _lock: lock };
        if !cluster.path().exists() {
            cluster.initialise().await?;
        }
        cluster.account.create_private_dir(&cluster.socket_dir())?;
        Ok(cluster)
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.join("postgres")
    }

    pub(crate) fn socket_dir(&self) -> PathBuf {
        self.dir.join("socket")
    }

    /// The major version, such as `17`.
    pub(crate) fn binaries(&self) -> PathBuf {
        self.binaries.dir.clone()
    }

    pub(crate) fn major_version(&self) -> &str {
        &self.binaries.major
    }

    /// Starts a server and waits until it takes connections.
    pub(crate) async fn start(&self) -> Result<Postmaster, Error> {
        stale_processes::clear(&self.path(), &self.socket_dir(), &self.account).await?;
        self.write_access_rules()?;
        let log = self.open_log()?;
        let program = self.binaries.program("postgres");
        let mut command = spawn::command(&program, &self.account, self.dir.path());
        command.args(self.arguments()).stdout(log.try_clone().map_err(Error::io(&program))?).stderr(log);
        let mut postmaster = Postmaster::new(spawn::spawn(command).await.map_err(Error::io(&program))?)?;
        match tokio::time::timeout(START_TIMEOUT, self.ready(&mut postmaster)).await {
            Ok(true) => Ok(postmaster),
            answer => {
                postmaster.stop().await;
                Err(Error::StartFailed { timed_out: answer.is_err(), log: self.log_tail() })
            }
        }
    }

    /// True when it is ready, false when it has ended.
    async fn ready(&self, postmaster: &mut Postmaster) -> bool {
        let mut again = tokio::time::interval(Duration::from_millis(10));
        while postmaster.has_ended().is_none() {
            if pid_file::read(&self.path())
                .is_some_and(|file| file.ready && file.pid.unsigned_abs() == postmaster.pid())
            {
                return true;
            }
            again.tick().await;
        }
        false
    }

    /// On the command line, where neither a configuration file nor `ALTER SYSTEM` can change what we promise.
    fn arguments(&self) -> Vec<String> {
        let durable = match self.durability {
            Durability::Durable => "on",
            Durability::Volatile => "off",
        };
        let path = |name: &str| self.dir.join(name).display().to_string();
        let settings = [
            ("listen_addresses", String::new()),
            // Seen from the cluster, where the postmaster stands: a socket's path holds 107 bytes, and DATA_DIR may be longer.
            ("unix_socket_directories", "../socket".into()),
            ("port", "5432".into()),
            ("hba_file", path("pg_hba.conf")),
            ("ident_file", path("pg_ident.conf")),
            ("fsync", durable.into()),
            ("full_page_writes", durable.into()),
            ("synchronous_commit", durable.into()),
            ("max_connections", self.max_connections.to_string()),
            ("logging_collector", "off".into()),
            ("log_destination", "stderr".into()),
            ("log_checkpoints", "off".into()),
            // A process less.
            ("max_logical_replication_workers", "0".into()),
            ("timezone", "UTC".into()),
            ("log_timezone", "UTC".into()),
        ];
        let settings = settings.into_iter().flat_map(|(name, value)| ["-c".into(), format!("{name}={value}")]);
        ["-D".into(), path("postgres")].into_iter().chain(settings).collect()
    }

    /// Only the operating system's user that this server runs as, only through the socket, only as one role.
    fn write_access_rules(&self) -> Result<(), Error> {
        let user = Uid::effective();
        let name = match User::from_uid(user) {
            Ok(Some(user)) => user.name,
            _ => return Err(Error::NoPasswdEntry { uid: user.as_raw() }),
        };
        let rules = [
            ("pg_hba.conf", "local all all peer map=server\n".to_owned()),
            ("pg_ident.conf", format!("server \"{}\" {}\n", name.replace('"', "\"\""), self.role)),
        ];
        for (file, text) in rules {
            let path = self.dir.join(file);
            fs::write(&path, text).map_err(Error::io(&path))?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).map_err(Error::io(&path))?;
        }
        Ok(())
    }

    /// `initdb` under another name; the rename is the commit, so a folder called `postgres` is always a whole cluster.
    async fn initialise(&self) -> Result<(), Error> {
        let unfinished = self.dir.join("postgres.new");
        for ctype in ["C.UTF-8", "C"] {
            remove_unfinished(&unfinished).await?;
            self.account.create_private_dir(&unfinished)?;
            let mut command = spawn::command(&self.binaries.program("initdb"), &self.account, self.dir.path());
            command.arg("-D").arg(&unfinished).args(["-U", &self.role, "-A", "peer", "-E", "UTF8", "--data-checksums"]);
            // Sorted by code point, which no upgrade of the system's C library changes under an index.
            command.arg("--locale=C").arg(format!("--lc-ctype={ctype}"));
            if matches!(self.durability, Durability::Volatile) {
                command.arg("--no-sync");
            }
            let output = spawn::run(command).await.map_err(Error::io(self.binaries.program("initdb")))?;
            if output.status.success() {
                fs::rename(&unfinished, self.path()).map_err(Error::io(&unfinished))?;
                return File::open(self.dir.path()).and_then(|dir| dir.sync_all()).map_err(Error::io(self.dir.path()));
            }
            let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            if ctype == "C" || !text.contains("invalid locale name") {
                remove_unfinished(&unfinished).await?;
                return Err(Error::Program { program: "initdb", output: text });
            }
        }
        unreachable!("the last locale returns")
    }

    fn open_log(&self) -> Result<File, Error> {
        let path = self.dir.join("postgres.log");
        if path.exists() {
            fs::rename(&path, self.dir.join("postgres.log.old")).map_err(Error::io(&path))?;
        }
        OpenOptions::new().append(true).create(true).mode(0o600).open(&path).map_err(Error::io(&path))
    }

    fn log_tail(&self) -> String {
        let log = fs::read(self.dir.join("postgres.log")).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(2000)..]).trim().to_owned()
    }
}

/// The major version that made the folder.
fn read_version(cluster: &Path) -> Result<String, Error> {
    let path = cluster.join("PG_VERSION");
    fs::read_to_string(&path).map(|text| text.trim().to_owned()).map_err(Error::io(path))
}
/// Removes what an `initdb` has left that did not end. The kernel stops one whose server was stopped, but not the `postgres` that it has
/// started, which goes on writing for a moment: it cannot be waited for, so a folder that is not empty yet is removed once more.
async fn remove_unfinished(folder: &Path) -> Result<(), Error> {
    let deadline = tokio::time::Instant::now() + REMOVE_TIMEOUT;
    loop {
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty && tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(REMOVE_RETRY_DELAY).await;
            }
            removed => return removed.map_err(Error::io(folder)),
        }
    }
}
