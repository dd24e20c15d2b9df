//! Programs of PostgreSQL's as children that do not outlive this process.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{LazyLock, mpsc};
use std::thread;

use tokio::sync::oneshot;

use crate::account::Account;

type Job = (Command, oneshot::Sender<io::Result<Child>>);

/// The one thread that starts children. The kernel sends the death signal when the *thread* that started the child ends, not the
/// process, so it has to be one that lives as long as the process: tokio's threads come and go.
static SPAWNER: LazyLock<mpsc::Sender<Job>> = LazyLock::new(|| {
    let (jobs, queue) = mpsc::channel::<Job>();
    thread::Builder::new()
        .name("postgres-spawner".into())
        .spawn(move || {
            for (mut command, answer) in queue {
                // Nobody waits for the child any more: then it must not live.
                if let Err(Ok(mut orphan)) = answer.send(command.spawn()) {
                    let _ = orphan.kill().and_then(|()| orphan.wait());
                }
            }
        })
        .expect("the system has room for one thread");
    jobs
});

/// A program that runs as the account with nothing of our environment: no `PG*` setting, no secret, no locale.
pub(crate) fn command(program: &Path, account: &Account, current_dir: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("LC_ALL", "C").env("PATH", "/usr/bin:/bin").current_dir(current_dir).stdin(Stdio::null());
    if account.switch {
        command.uid(account.uid.as_raw()).gid(account.gid.as_raw());
    }
    // A group of its own: Ctrl-C in the terminal must not stop the database before the server has drained.
    command.process_group(0);
    die_with_us(&mut command);
    command
}

/// Lets the kernel send SIGINT, which is PostgreSQL's "fast shutdown", when this process is gone, however it went.
#[cfg(target_os = "linux")]
fn die_with_us(command: &mut Command) {
    use nix::sys::{prctl, signal::Signal};

    let parent = nix::unistd::getpid();
    let arm = move || {
        // After the change of user, which would clear it: `Command` calls this last.
        prctl::set_pdeathsig(Signal::SIGINT)?;
        // We may have died before the line above: no signal comes then.
        if nix::unistd::getppid() == parent { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
    };
    #[expect(unsafe_code, reason = "no safe interface sets a death signal")]
    // SAFETY: between fork and exec only what is async-signal-safe may run: `arm` makes two system calls and does not allocate.
    unsafe {
        command.pre_exec(arm);
    }
}

/// Elsewhere the child lives on when the server is killed, and the next start on its folder ends it.
#[cfg(not(target_os = "linux"))]
fn die_with_us(_: &mut Command) {}

/// Starts a child from the thread that lives as long as the process.
pub(crate) async fn spawn(command: Command) -> io::Result<Child> {
    let (answer, child) = oneshot::channel();
    SPAWNER.send((command, answer)).expect("the spawner lives as long as the process");
    child.await.expect("the spawner answers each job")
}

/// Runs a program to its end.
pub(crate) async fn run(mut command: Command) -> io::Result<Output> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = spawn(command).await?;
    tokio::task::spawn_blocking(move || child.wait_with_output()).await.map_err(io::Error::other)?
}
