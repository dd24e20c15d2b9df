//! The running server.

use std::process::{Child, ExitStatus};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::signal::unix::{Signal as Listener, SignalKind, signal};
use tokio::time::timeout;

use crate::error::Error;

/// Fast shutdown, then immediate shutdown (the next start recovers), then no mercy.
const STOP_STEPS: [(Signal, Duration); 3] = [
    (Signal::SIGINT, Duration::from_secs(15)),
    (Signal::SIGQUIT, Duration::from_secs(10)),
    (Signal::SIGKILL, Duration::from_secs(10)),
];

/// A postmaster that is our child. Dropped, it is told to stop, and reaped in the background.
#[derive(Debug)]
pub(crate) struct Postmaster {
    /// Taken by `drop` only.
    child: Option<Child>,
    children: Listener,
}

impl Postmaster {
    pub(crate) fn new(child: Child) -> Result<Self, Error> {
        let children = signal(SignalKind::child()).map_err(Error::io("SIGCHLD"))?;
        Ok(Self { child: Some(child), children })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// How it ended, once it has.
    pub(crate) fn has_ended(&mut self) -> Option<ExitStatus> {
        // It can only fail for a process that is not our child any more.
        self.child.as_mut()?.try_wait().unwrap_or(Some(ExitStatus::default()))
    }

    /// Waits for its end; nothing is lost when the waiting is given up.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        loop {
            if let Some(status) = self.has_ended() {
                return status;
            }
            self.children.recv().await;
        }
    }

    /// Stops it and waits for its end, at most half a minute.
    pub(crate) async fn stop(mut self) {
        for (signal, patience) in STOP_STEPS {
            self.signal(signal);
            if timeout(patience, self.ended()).await.is_ok() {
                return;
            }
            tracing::warn!(pid = self.pid(), %signal, "postgresql does not stop");
        }
    }

    fn signal(&mut self, signal: Signal) {
        // Not reaped yet, so the pid is still its own.
        if self.has_ended().is_none()
            && let Ok(pid) = i32::try_from(self.pid())
        {
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }
}

impl Drop for Postmaster {
    fn drop(&mut self) {
        self.signal(Signal::SIGINT);
        if self.has_ended().is_none()
            && let Some(mut child) = self.child.take()
        {
            // A drop must not block; left alone it would stay a zombie.
            thread::spawn(move || child.wait());
        }
    }
}
