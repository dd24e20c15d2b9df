//! A `serve` process.

use std::{
    fs::File,
    io::Write,
    net::SocketAddr,
    path::Path,
    process::{Command, ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use category_mirror_client::{Client, RetryPolicy};
use chrono::{DateTime, Utc};
use nix::{
    sys::{
        signal::{Signal, kill},
        wait::{WaitPidFlag, waitpid},
    },
    unistd::Pid,
};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStderr},
    sync::oneshot,
};

use crate::{fleet::SECRET, record::Record, skew::Leftovers};

/// A start waits for the database, which may be away.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// The exit code of a server that was given a setting it refuses: no other start would end otherwise.
const WRONG_SETTING: i32 = 64;
/// Longer than any grace period here.
const END_PATIENCE: Duration = Duration::from_secs(60);
/// How long a caller waits for an answer before it asks elsewhere.
const CALL_PATIENCE: Duration = Duration::from_secs(2);

/// A running server. Dropped, it is killed.
pub(crate) struct Process {
    /// What the journal and the emulator's record call it.
    pub(crate) name: String,
    /// A client of it that tries each call once.
    pub(crate) client: Client,
    address: SocketAddr,
    child: Child,
    // Dropped after the child, which is killed then.
    _leftovers: Option<Leftovers>,
}

impl Process {
    /// Starts one and waits until it serves. `None`: it did not, for want of a database.
    pub(crate) async fn start(
        command: Command,
        name: String,
        token: &str,
        log: &Path,
        record: &Arc<Record>,
    ) -> Option<Self> {
        let mut command = tokio::process::Command::from(command);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("started");
        let leftovers = child.id().map(Leftovers::of);
        let (serving, address) = oneshot::channel();
        let file = File::create(log).expect("a log file");
        tokio::spawn(read(child.stderr.take().expect("piped"), file, serving, name.clone(), record.clone()));
        let Ok(Ok(address)) = tokio::time::timeout(START_TIMEOUT, address).await else {
            let ended = child.try_wait().expect("our child");
            let is_refused = ended.and_then(|status| status.code()) == Some(WRONG_SETTING);
            assert!(!is_refused, "{name} refuses its settings, as its log {} says", log.display());
            return None;
        };
        let client = Client::builder(format!("http://{address}")).token(token.to_owned()).timeout(CALL_PATIENCE);
        let client = client.connect_timeout(CALL_PATIENCE / 2).retry(RetryPolicy::never()).build().expect("a client");
        Some(Self { name, client, address, child, _leftovers: leftovers })
    }

    /// A client that waits as long as it takes.
    pub(crate) fn patient_client(&self, token: &str) -> Client {
        let client = Client::builder(format!("http://{}", self.address)).token(token.to_owned());
        client.timeout(END_PATIENCE).build().expect("a client")
    }

    /// How it ended, if it has.
    pub(crate) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("our child")
    }

    /// `kill -9`.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("killed");
    }

    /// Asks it to end, as a supervisor would, and waits. `None`: it did not.
    pub(crate) async fn end(mut self) -> Option<ExitStatus> {
        self.signal(Signal::SIGTERM);
        tokio::time::timeout(END_PATIENCE, self.child.wait()).await.ok()?.ok()
    }

    /// Stops it where it stands, and waits until every thread of it does. False when it has ended instead.
    pub(crate) async fn stop(&self) -> bool {
        let Some(pid) = self.pid() else { return false };
        self.signal(Signal::SIGSTOP);
        let stopped = tokio::task::spawn_blocking(move || waitpid(pid, Some(WaitPidFlag::WUNTRACED)));
        matches!(stopped.await, Ok(Ok(nix::sys::wait::WaitStatus::Stopped(..))))
    }

    /// Lets it go on.
    pub(crate) fn go_on(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn pid(&self) -> Option<Pid> {
        self.child.id().and_then(|pid| pid.try_into().ok()).map(Pid::from_raw)
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid() {
            // It can only fail for a process that has ended, which is found out elsewhere.
            let _ = kill(pid, signal);
        }
    }
}

/// Copies the log, tells the address as soon as it is there, and notes panics and secrets.
async fn read(
    stderr: ChildStderr,
    mut file: File,
    serving: oneshot::Sender<SocketAddr>,
    name: String,
    record: Arc<Record>,
) {
    let mut serving = Some(serving);
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let _ = writeln!(file, "{line}");
        if line.contains("panicked") {
            record.surprise(format!("{name} panicked: {line}"));
        }
        // Its own, Google's tokens and ours.
        if [SECRET, "ya29.", "eyJ"].iter().any(|secret| line.contains(secret)) {
            record.surprise(format!("{name} logged a secret: {line}"));
        }
        if line.contains("\"level\":\"ERROR\"") {
            record.count("errors logged");
        }
        let address = |line: &Value| line["grpc"].as_str().filter(|_| line["message"] == "serving")?.parse().ok();
        if serving.is_some()
            && let Ok(line) = serde_json::from_str(&line)
            && let Some(address) = address(&line)
        {
            let time = line["timestamp"].as_str().and_then(|time| time.parse::<DateTime<Utc>>().ok());
            let found = time.map(|time| (time - Utc::now()).num_seconds());
            record.notes().clocks.entry(name.clone()).or_default().found = found;
            // Nobody waits any more where the start took too long; the process is killed then.
            let _ = serving.take().map(|serving| serving.send(address));
        }
    }
}
