//! A server in a process of its own, so that what is measured of it is its alone.

use std::{collections::HashMap, process::Stdio};

use category_mirror::commands::CommandError;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStderr, Command},
};

use crate::{environment::BenchEnvironment, memory::resident_kb};

/// The argument with which this program is a server.
pub(crate) const SERVE: &str = "serve";

/// A running server. Dropped, it is killed.
pub(crate) struct Process {
    /// Its gRPC address.
    pub(crate) address: String,
    child: Child,
}

impl Process {
    /// Starts `serve --dev` over the ground's database, and waits until it serves.
    pub(crate) async fn start(
        environment: &BenchEnvironment,
        settings: HashMap<&str, String>,
    ) -> Result<Self, CommandError> {
        let failed = |error: &dyn std::fmt::Display| CommandError::failed("cannot start a server", error);
        let program = std::env::current_exe().map_err(|error| failed(&error))?;
        let mut child = Command::new(program)
            .args([SERVE, "--dev"])
            .env("DATABASE_URL", environment.url())
            .env("DATA_DIR", environment.folder())
            .env("LISTEN_ADDR", "127.0.0.1:0")
            .env("ADMIN_LISTEN_ADDR", "127.0.0.1:0")
            .env("GBP_EMULATOR_LISTEN_ADDR", "127.0.0.1:0")
            .env("LOG_FORMAT", "json")
            .env("RUST_LOG", "info")
            .envs(settings)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(&error))?;
        let stderr = child.stderr.take().ok_or_else(|| failed(&"no stderr"))?;
        let mut lines = BufReader::new(stderr).lines();
        let address = address(&mut lines).await.map_err(|error| failed(&error))?;
        let address = address.ok_or_else(|| failed(&"it ended before it served"))?;
        // Nobody reads its log, and a pipe that is full would stop it.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { address: format!("http://{address}"), child })
    }

    /// Its resident memory, kB.
    pub(crate) async fn resident_kb(&self) -> Result<i64, CommandError> {
        let process = self.child.id().map(|id| id.to_string()).unwrap_or_default();
        resident_kb(&process).await.map_err(|error| CommandError::failed("the server's memory", error))
    }
}

async fn address(lines: &mut Lines<BufReader<ChildStderr>>) -> std::io::Result<Option<String>> {
    while let Some(line) = lines.next_line().await? {
        let line: Value = serde_json::from_str(&line).unwrap_or_default();
        if let Some(address) = line["grpc"].as_str() {
            return Ok(Some(address.to_owned()));
        }
    }
    Ok(None)
}
