//! A `serve` process.

use std::{
    io::Write,
    net::SocketAddr,
    process::{Command, ExitStatus, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Child,
    sync::watch,
};
use tonic::transport::Channel;
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus, health_client::HealthClient,
};

/// Longer than anything takes that a test waits for.
const WAIT_TIMEOUT: Duration = Duration::from_secs(180);

/// A running server. Dropped, it is killed.
pub(crate) struct Server {
    /// The gRPC address.
    pub(crate) address: SocketAddr,
    /// The address of health and metrics.
    pub(crate) admin: SocketAddr,
    child: Child,
    log: watch::Receiver<Vec<String>>,
}

impl Server {
    /// Starts a process that logs JSON, and waits until it serves.
    pub(crate) async fn start(mut command: Command) -> Self {
        // Where somebody wants to look for secrets in all that is logged, it is logged, and shown.
        let filter = std::env::var("RUST_LOG").ok();
        let is_shown = filter.is_some();
        if let Some(filter) = filter.filter(|_| command.get_envs().all(|(name, _)| name != "RUST_LOG")) {
            command.env("RUST_LOG", filter);
        }
        let mut command = tokio::process::Command::from(command);
        let mut child =
            command.stdin(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true).spawn().expect("started");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let (sender, log) = watch::channel(Vec::new());
        tokio::spawn(async move {
            while let Some(line) = lines.next_line().await.expect("text") {
                if is_shown {
                    let _ = writeln!(std::io::stderr(), "{line}");
                }
                sender.send_modify(|log| log.push(line));
            }
        });
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut server = Self { address: nowhere, admin: nowhere, child, log };
        let serving = server.logged("serving").await;
        let address = |name: &str| serving[name].as_str().expect("an address").parse().expect("an address");
        (server.address, server.admin) = (address("grpc"), address("admin"));
        server
    }

    /// The process.
    pub(crate) fn pid(&self) -> Pid {
        let pid = self.child.id().expect("not reaped yet");
        Pid::from_raw(pid.try_into().expect("a pid"))
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("sent");
    }

    /// `kill -9`.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("killed");
    }

    /// Stops it as a supervisor would, and expects a good end.
    pub(crate) async fn stop(self) {
        self.signal(Signal::SIGTERM);
        let (status, log) = self.ended().await;
        assert_eq!(status.code(), Some(0), "{log:#?}");
    }

    /// Waits for its end. Gives all that it logged too.
    pub(crate) async fn ended(mut self) -> (ExitStatus, Vec<String>) {
        let status = tokio::time::timeout(WAIT_TIMEOUT, self.child.wait()).await.expect("it ends").expect("reaped");
        while self.log.changed().await.is_ok() {}
        (status, self.log.borrow().clone())
    }

    /// Waits for a line of the log with this message, and gives it.
    pub(crate) async fn logged(&self, message: &str) -> Value {
        let mut log = self.log.clone();
        match tokio::time::timeout(WAIT_TIMEOUT, log.wait_for(|log| find(log, message).is_some())).await {
            Ok(Ok(log)) => find(&log, message).expect("just found"),
            _ => panic!("no line {message:?} in {:#?}", self.log.borrow()),
        }
    }

    /// Whether a line of the log has this message.
    pub(crate) fn has_logged(&self, message: &str) -> bool {
        find(&self.log.borrow(), message).is_some()
    }

    /// How many lines of the log have this message.
    pub(super) fn count(&self, message: &str) -> usize {
        let log = self.log.borrow();
        let lines = log.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["message"] == message).count()
    }

    /// Opens a connection, and watches the health of the server as a whole.
    pub(crate) async fn health(&self) -> Health {
        let channel = self.connect().await;
        let watched = HealthClient::new(channel).watch(HealthCheckRequest { service: String::new() }).await;
        Health(watched.expect("watching").into_inner())
    }

    /// A connection.
    pub(crate) async fn connect(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.address)).expect("a URL").connect().await.expect("connected")
    }

    /// What `/healthz` answers.
    pub(crate) async fn healthz(&self) -> u16 {
        reqwest::get(format!("http://{}/healthz", self.admin)).await.expect("an answer").status().as_u16()
    }
}

fn find(log: &[String], message: &str) -> Option<Value> {
    let lines = log.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.into_iter().find(|line| line["message"] == message)
}

/// A health watch.
pub(crate) struct Health(tonic::Streaming<HealthCheckResponse>);

impl Health {
    /// Waits until the server says this of itself.
    pub(crate) async fn becomes(&mut self, status: ServingStatus) {
        let told = async { while self.next().await.expect("not the end") != status {} };
        tokio::time::timeout(WAIT_TIMEOUT, told).await.unwrap_or_else(|_| panic!("health is never {status:?}"));
    }

    /// What the server says next; `None` when it ended the stream in good order.
    pub(crate) async fn next(&mut self) -> Option<ServingStatus> {
        self.0.message().await.expect("no error").map(|answer| answer.status())
    }
}
