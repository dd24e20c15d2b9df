//! What a server that was killed may have left behind: a postmaster that is still stopping, backends that still end, a pid file.
//!
//! Called with the folder's lock held, so nothing here belongs to a living server.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::account::Account;
use crate::{Error, pid_file};

/// How long a fast shutdown may take before the processes are told to drop everything, and how long that may take.
const SHUTDOWN_STEPS: [(Signal, Duration); 2] =
    [(Signal::SIGINT, Duration::from_secs(15)), (Signal::SIGQUIT, Duration::from_secs(10))];

/// Ends what still runs in the cluster's folder, then removes the files that would keep PostgreSQL from starting.
///
/// PostgreSQL itself refuses to start while the pid in the file exists, also when it is a zombie's or by now anybody else's. The working
/// directory tells the truth: each process of a postmaster has the cluster's folder as its own.
pub(crate) async fn clear(cluster: &Path, socket: &Path, account: &Account) -> Result<(), Error> {
    if !Path::new("/proc/self/cwd").exists() {
        // Nothing can be known here, so PostgreSQL's own careful judgement stands.
        return Ok(());
    }
    for (signal, patience) in SHUTDOWN_STEPS {
        let running = processes_in(cluster, account);
        if running.is_empty() {
            break;
        }
        tracing::info!(pids = ?running, %signal, "an earlier postgresql still runs in this folder, ending it");
        let postmaster = pid_file::read(cluster).map(|file| file.pid).filter(|pid| running.contains(pid));
        // Its children end with it; without it they end by themselves, unless they are busy.
        for pid in postmaster.map_or_else(|| running.clone(), |pid| vec![pid]) {
            if let Err(errno) = kill(Pid::from_raw(pid), signal)
                && errno != Errno::ESRCH
            {
                tracing::warn!(pid, %errno, "an earlier postgresql cannot be signalled");
            }
        }
        let _ = tokio::time::timeout(patience, no_process_left(cluster, account)).await;
    }
    let pids = processes_in(cluster, account);
    if !pids.is_empty() {
        return Err(Error::Leftovers { path: cluster.to_owned(), pids });
    }
    for stale in [pid_file::path(cluster), socket.join(".s.PGSQL.5432"), socket.join(".s.PGSQL.5432.lock")] {
        match fs::remove_file(&stale) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(Error::io(stale)(error)),
            _ => {}
        }
    }
    Ok(())
}

async fn no_process_left(cluster: &Path, account: &Account) {
    let mut again = tokio::time::interval(Duration::from_millis(20));
    while !processes_in(cluster, account).is_empty() {
        again.tick().await;
    }
}

/// The PostgreSQL processes that have the folder as their working directory. A zombie has none.
fn processes_in(cluster: &Path, account: &Account) -> Vec<i32> {
    let list = || {
        fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| process_in(cluster, &entry.path()))
            .collect()
    };
    if !account.switch {
        return list();
    }
    // Root without CAP_SYS_PTRACE, as in a container, may not see where another user's process is, but that user may. The identity for
    // file access is the thread's own, so a thread takes it on and ends with it.
    #[cfg(target_os = "linux")]
    let list = || {
        nix::unistd::setfsgid(account.gid);
        nix::unistd::setfsuid(account.uid);
        list()
    };
    thread::scope(|scope| scope.spawn(list).join().expect("listing files does not panic"))
}

fn process_in(cluster: &Path, process: &Path) -> Option<i32> {
    let pid = process.file_name()?.to_str()?.parse().ok()?;
    // A person's shell may stand in the folder too, and is none of our business.
    let program = fs::read_link(process.join("exe")).ok()?;
    let is_postgres = program.file_name()?.to_str()?.starts_with("postgres");
    let folder: PathBuf = fs::read_link(process.join("cwd")).ok()?;
    (is_postgres && folder == cluster).then_some(pid)
}
