//! The signals that end a command.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// What shells add to the number of the signal that ended a process.
const SIGNALLED: i32 = 128;

/// Ready at Ctrl-C, or at what a supervisor sends; listens from this call on. A second signal ends the process at once, whatever it is
/// doing: its runs are taken up again when their leases have expired, and the kernel stops an embedded PostgreSQL.
pub(super) fn shutdown_signal() -> WaitForCancellationFutureOwned {
    let shutdown = CancellationToken::new();
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        tracing::error!("cannot listen for signals, only kill -9 will end this process");
        return shutdown.cancelled_owned();
    };
    let first = shutdown.clone();
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = interrupt.recv() => SignalKind::interrupt(),
                _ = terminate.recv() => SignalKind::terminate(),
            }
        };
        next().await;
        first.cancel();
        let second = next().await;
        tracing::warn!("ended at once by a second signal");
        std::process::exit(SIGNALLED + second.as_raw_value());
    });
    shutdown.cancelled_owned()
}
