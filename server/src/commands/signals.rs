//! The signals that end a command, or have it read its keys again.

use std::fs::File;

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// What shells add to the number of the signal that ended a process.
const SIGNALLED: i32 = 128;

/// What SIGHUP means to a command.
pub(super) enum Hangup {
    /// The same as SIGTERM, for what only serves whoever started it.
    Ends,
    /// A message, for what has something to read again. Where the terminal is gone that the process was started from, it ends even so:
    /// then it is that terminal's signal, and nobody could stop the process any longer.
    Reloads(mpsc::Sender<()>),
}

/// Ready at Ctrl-C, or at what a supervisor sends; listens from this call on. A second signal ends the process at once, whatever it is
/// doing: its runs are executed by other servers when their leases have expired, and the kernel stops an embedded PostgreSQL.
pub(super) fn shutdown_signal(hangup: Hangup) -> WaitForCancellationFutureOwned {
    on_signals(hangup, |second| {
        tracing::warn!("ended at once by a second signal");
        #[expect(
            clippy::disallowed_methods,
            reason = "a second signal means at once: the kernel stops the children, and leases bring the runs back"
        )]
        std::process::exit(SIGNALLED + second.as_raw_value());
    })
}

/// Ready at the first signal that ends a command; listens from this call on. Later signals change nothing: for a command that removes
/// what it has created, which takes a moment.
pub fn first_signal() -> WaitForCancellationFutureOwned {
    on_signals(Hangup::Ends, |_| ())
}

/// Ready at the first signal; `again` is called with each later one.
fn on_signals(hangup: Hangup, again: fn(SignalKind)) -> WaitForCancellationFutureOwned {
    let shutdown = CancellationToken::new();
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()), signal(SignalKind::hangup()));
    let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hung_up)) = signals else {
        tracing::error!("cannot listen for signals, only kill -9 will end this process");
        return shutdown.cancelled_owned();
    };
    let first = shutdown.clone();
    let had_terminal = has_terminal();
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = interrupt.recv() => SignalKind::interrupt(),
                _ = terminate.recv() => SignalKind::terminate(),
                () = ending_hangup(&mut hung_up, &hangup, had_terminal) => SignalKind::hangup(),
            }
        };
        next().await;
        first.cancel();
        loop {
            again(next().await);
        }
    });
    shutdown.cancelled_owned()
}

/// Waits for a SIGHUP that ends the process, and passes on those that do not.
async fn ending_hangup(signals: &mut Signal, hangup: &Hangup, had_terminal: bool) {
    loop {
        signals.recv().await;
        match hangup {
            Hangup::Reloads(reload) if !had_terminal || has_terminal() => {
                tracing::info!("SIGHUP: reading key files again");
                // Where one is waiting already, the files have not been read since.
                let _ = reload.try_send(());
            }
            Hangup::Reloads(_) | Hangup::Ends => return,
        }
    }
}

/// Whether the process has a terminal that can stop it. The device does not open where there is none, or none any longer.
fn has_terminal() -> bool {
    File::open("/dev/tty").is_ok()
}
