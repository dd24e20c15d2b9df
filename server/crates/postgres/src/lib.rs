//! The machine's own PostgreSQL as a private child of this process, for any program that wants a database without setting one up.
//!
//! For a machine without a database server: the data lies in a folder of the program's, the only way in is a unix socket that other users cannot reach,
//! and the child ends with us, also when we are killed. It survives `kill -9` of either side: what is left over is cleared away under
//! a lock, and PostgreSQL recovers. When the child dies under us it is started again.
//!
//! Errors are for the operator, and call two settings of the program `DATA_DIR` and `PG_BIN_DIR`: [`Options::data_dir`] and
//! [`Options::bin_dir`].

mod account;
mod binaries;
mod cluster;
mod data_dir;
mod error;
mod lock;
mod options;
mod pid_file;
mod postmaster;
mod spawn;
mod stale_processes;

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

pub use self::data_dir::{DataDir, DataDirError};
pub use self::error::Error;
pub use self::options::{Durability, Options};

use self::cluster::Cluster;
use self::postmaster::Postmaster;

/// What a unix socket's path holds, less the socket's own name.
const MAX_SOCKET_DIR_BYTES: usize = 107 - "/.s.PGSQL.5432".len();

/// Between two tries to start a child that died.
const RESTART_DELAY: Duration = Duration::from_secs(1);

/// A running PostgreSQL. Dropped, it is told to stop; [`Embedded::stop`] also waits for that.
#[derive(Debug)]
pub struct Embedded {
    program: String,
    role: String,
    version: String,
    binaries: PathBuf,
    socket_dir: PathBuf,
    /// Open for as long as connections may be made: see [`Embedded::connect_options`].
    socket_dir_handle: File,
    pid: watch::Receiver<u32>,
    /// Dropped or used, it ends the keeper.
    stop: oneshot::Sender<()>,
    keeper: JoinHandle<()>,
}

impl Embedded {
    /// Starts PostgreSQL on the folder, creating the database where there is none, and waits until it answers.
    ///
    /// # Errors
    /// [`Error`], in words for the operator.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let (program, role) = (options.program.clone(), options.role());
        let cluster = Cluster::open(&options).await?;
        let postmaster = cluster.start().await?;
        let socket_dir = cluster.socket_dir();
        let socket_dir_handle = File::open(&socket_dir).map_err(Error::io(&socket_dir))?;
        let version = cluster.major_version().to_owned();
        let binaries = cluster.binaries();
        let (pid_of, pid) = watch::channel(postmaster.pid());
        let (stop, stopped) = oneshot::channel();
        let data_dir = cluster.path();
        let keeper = tokio::spawn(supervise(cluster, postmaster, stopped, pid_of));
        let embedded = Self { program, role, version, binaries, socket_dir, socket_dir_handle, pid, stop, keeper };
        if let Err(error) = embedded.create_database().await {
            embedded.stop().await;
            return Err(error.into());
        }
        tracing::info!(version = embedded.version, pid = embedded.pid(), ?data_dir, "embedded postgresql is ready");
        Ok(embedded)
    }

    /// How this process connects to the program's database, as its only role. Works for as long as this value lives.
    #[must_use]
    pub fn connect_options(&self) -> PgConnectOptions {
        // Nothing of libpq's environment variables shall lead elsewhere.
        PgConnectOptions::new_without_pgpass()
            .socket(self.socket_path())
            .port(5432)
            .username(&self.role)
            .database(&self.role)
            .ssl_mode(PgSslMode::Disable)
            .application_name(&self.program)
    }

    /// The major version, such as `17`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// One of this installation's programs, such as `pgbench`; it need not exist.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.binaries.join(name)
    }

    /// The postmaster's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        *self.pid.borrow()
    }

    /// The postmaster's process id, over restarts: it changes when a postmaster that died has been replaced and is ready.
    #[must_use]
    pub fn watch_pid(&self) -> watch::Receiver<u32> {
        self.pid.clone()
    }

    /// Stops PostgreSQL: connections are cut, open transactions rolled back. Waits for its end, at most about half a minute.
    pub async fn stop(self) {
        // The keeper is gone already when its runtime is ending.
        let _ = self.stop.send(());
        let _ = self.keeper.await;
    }

    /// A path that is short enough for a socket, however long `DATA_DIR` is.
    fn socket_path(&self) -> PathBuf {
        if self.socket_dir.as_os_str().len() <= MAX_SOCKET_DIR_BYTES {
            return self.socket_dir.clone();
        }
        Path::new("/proc/self/fd").join(self.socket_dir_handle.as_raw_fd().to_string())
    }

    async fn create_database(&self) -> Result<(), sqlx::Error> {
        const NO_SUCH_DATABASE: &str = "3D000";
        let options = self.connect_options();
        match options.connect().await {
            Ok(connection) => connection.close().await,
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(NO_SUCH_DATABASE) => {
                // A new database takes as long as the disk does: that is no slow statement to warn of.
                let mut connection = options.database("postgres").disable_statement_logging().connect().await?;
                sqlx::raw_sql(AssertSqlSafe(format!("create database \"{}\"", self.role)))
                    .execute(&mut connection)
                    .await?;
                connection.close().await
            }
            Err(error) => Err(error),
        }
    }
}

/// Keeps a postmaster running until it is told to stop.
async fn supervise(
    cluster: Cluster,
    mut postmaster: Postmaster,
    mut stop: oneshot::Receiver<()>,
    pid: watch::Sender<u32>,
) {
    loop {
        tokio::select! {
            _ = &mut stop => return postmaster.stop().await,
            status = postmaster.ended() => tracing::error!(pid = postmaster.pid(), %status, "embedded postgresql ended, starting it again"),
        }
        postmaster = loop {
            let started = tokio::select! {
                _ = &mut stop => return,
                started = cluster.start() => started,
            };
            match started {
                Ok(postmaster) => break postmaster,
                Err(error) => tracing::error!(%error, "embedded postgresql cannot be started again"),
            }
            tokio::select! {
                _ = &mut stop => return,
                () = tokio::time::sleep(RESTART_DELAY) => {}
            }
        };
        tracing::info!(pid = postmaster.pid(), "embedded postgresql is ready again");
        pid.send_replace(postmaster.pid());
    }
}
