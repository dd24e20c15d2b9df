//! What can keep the embedded PostgreSQL from running, in words that say what to do.

use std::io;
use std::path::PathBuf;

use crate::data_dir::DataDirError;

/// Why the embedded PostgreSQL does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There are no binaries.
    #[error(
        "no PostgreSQL binaries found: install them (Debian and Ubuntu: `apt install postgresql`; Fedora: `dnf install postgresql-server`; \
         Alpine: `apk add postgresql`; macOS: `brew install postgresql`), or set PG_BIN_DIR to their directory"
    )]
    NotInstalled,
    /// The named folder holds no binaries.
    #[error("PG_BIN_DIR {path:?} does not contain both `postgres` and `initdb`")]
    BinDir {
        /// The folder.
        path: PathBuf,
    },
    /// Another server uses the folder.
    #[error("DATA_DIR {path:?} is in use by another process{}", holder.map(|pid| format!(" ({pid})")).unwrap_or_default())]
    Locked {
        /// The folder.
        path: PathBuf,
        /// The process id of the other server, where it could be read.
        holder: Option<u32>,
    },
    /// The folder was made by another major version.
    #[error(
        "the database in {path:?} was created by PostgreSQL {data}, but the installed binaries are version {binaries}: \
         install version {data}, or move the data with pg_dump or pg_upgrade"
    )]
    VersionMismatch {
        /// PostgreSQL's folder.
        path: PathBuf,
        /// The folder's major version.
        data: String,
        /// The binaries' major versions.
        binaries: String,
    },
    /// PostgreSQL refuses to run as root, and the user it would run as cannot get there.
    #[error(
        "PostgreSQL does not run as root, and user `{user}` cannot enter {blocked:?}: put DATA_DIR below directories that every user can enter, \
         such as /var/lib/category-mirror"
    )]
    UnreachableFolder {
        /// The user that PostgreSQL would run as.
        user: String,
        /// The first folder on the way that is closed.
        blocked: PathBuf,
    },
    /// The user has no name.
    #[error("PostgreSQL needs a user with a name, but user id {uid} has no passwd entry")]
    NoPasswdEntry {
        /// The user id.
        uid: u32,
    },
    /// Neither user exists.
    #[error("PostgreSQL does not run as root, and neither of the users `postgres` and `nobody` exists")]
    NoUser,
    /// A program of PostgreSQL's did not do its work.
    #[error("{program} failed: {output}")]
    Program {
        /// Its name.
        program: &'static str,
        /// The end of what it wrote.
        output: String,
    },
    /// The server ended before it was ready, or was not ready in time.
    #[error("PostgreSQL did not start{}: {log}", if *.timed_out { " in time" } else { "" })]
    StartFailed {
        /// Whether it was still trying.
        timed_out: bool,
        /// The end of its log.
        log: String,
    },
    /// Processes of an earlier server do not end.
    #[error("processes of an earlier PostgreSQL still use {path:?} and do not exit: {pids:?}")]
    Leftovers {
        /// PostgreSQL's folder.
        path: PathBuf,
        /// Their process ids.
        pids: Vec<i32>,
    },
    /// The folder cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// It runs, and does not answer as it must.
    #[error("the embedded PostgreSQL does not respond: {0}")]
    Database(#[from] sqlx::Error),
    /// The operating system said no.
    #[error("{path:?}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

impl Error {
    /// Names the file or folder of an I/O error.
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        |source| Self::Io { path: path.into(), source }
    }
}
