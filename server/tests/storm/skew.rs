//! Servers whose clocks disagree, by libfaketime. It fakes only what time of day it is: waits and leases stay as long as they are.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// The clocks of the servers, in turn: right, fast and slow.
#[derive(Debug, Clone)]
pub(crate) struct Skew {
    library: PathBuf,
    by: Duration,
}

/// What libfaketime leaves in shared memory where a process is killed. Dropped, it is removed.
#[derive(Debug)]
pub(crate) struct Leftovers(u32);

impl Skew {
    /// By so much. `None`: all clocks agree, because that was asked for, or libfaketime is not installed.
    pub(crate) fn by(by: Duration) -> Option<Self> {
        if by.is_zero() {
            return None;
        }
        let library = library();
        if library.is_none() {
            eprintln!("storm: libfaketime is not installed (Debian: faketime), so the clocks of all servers agree");
        }
        library.map(|library| Self { library, by })
    }

    /// Gives the server in this place its clock. Tells by how many seconds that is fast.
    pub(crate) fn set(&self, place: usize, command: &mut Command) -> i64 {
        let by = i64::try_from(self.by.as_secs()).expect("not for ever");
        let off = match place % 3 {
            0 => return 0,
            1 => by,
            _ => -by,
        };
        command
            .env("LD_PRELOAD", &self.library)
            .env("FAKETIME", format!("{off:+}s"))
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        off
    }
}

impl Leftovers {
    /// Of the process with this id.
    pub(crate) fn of(pid: u32) -> Self {
        Self(pid)
    }
}

impl Drop for Leftovers {
    fn drop(&mut self) {
        let Self(pid) = self;
        for name in [format!("faketime_shm_{pid}"), format!("sem.faketime_sem_{pid}")] {
            // Whoever ended by itself has left nothing.
            let _ = fs::remove_file(Path::new("/dev/shm").join(name));
        }
    }
}

/// Where Debian has the library, whatever the machine is.
fn library() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?.flatten().map(|folder| folder.path());
    folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|library| library.exists())
}
