//! The built-in emulator as a part of another command.

use std::net::SocketAddr;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{config::ConfigError, emulator::Emulator};

/// An emulator that runs inside this process.
pub(super) struct RunningEmulator {
    pub(super) endpoint: String,
    stop: CancellationToken,
    task: JoinHandle<std::io::Result<()>>,
}

impl RunningEmulator {
    /// Starts one with the demo's locations.
    pub(super) async fn start(address: SocketAddr) -> Result<Self, ConfigError> {
        let emulator = Emulator::bind(address)
            .await
            .map_err(|error| ConfigError(format!("GBP_EMULATOR_LISTEN_ADDR={address}: {error}")))?;
        emulator.seed_demo();
        let (endpoint, stop) = (emulator.endpoint(), CancellationToken::new());
        let task = tokio::spawn(emulator.serve(stop.clone().cancelled_owned()));
        Ok(Self { endpoint, stop, task })
    }

    pub(super) async fn stop(self) {
        self.stop.cancel();
        let _ = self.task.await;
    }
}
