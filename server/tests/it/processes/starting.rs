//! A start that is told to stop while it waits: it ends at once, as a server that serves does.

use std::process::{Command, Stdio};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::net::TcpListener;

use super::{
    server::Server,
    site::{Site, until},
};

const SIGNALS: [Signal; 2] = [Signal::SIGTERM, Signal::SIGINT];

/// Sends the signal to a start that has come as far as `waits`, and expects a good end before it serves.
async fn ends(command: Command, signal: Signal, waits: impl Future<Output = ()>) {
    let mut command = tokio::process::Command::from(command);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let child = command.spawn().expect("started");
    let pid = Pid::from_raw(child.id().expect("not reaped").try_into().expect("a pid"));
    waits.await;
    kill(pid, signal).expect("sent");
    let ended = tokio::time::timeout(std::time::Duration::from_secs(60), child.wait_with_output());
    let output = ended.await.expect("it ends").expect("reaped");
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{signal}: {log}");
    assert!(log.contains("\"stopped before it served\"") && !log.contains("\"serving\""), "{signal}: {log}");
}

#[tokio::test]
async fn a_start_that_waits_for_an_identity_provider_or_a_database_ends_at_once() {
    let site = Site::new().await;
    for signal in SIGNALS {
        for setting in ["AUTH_JWKS_URL", "DATABASE_URL"] {
            // It accepts connections, and says nothing.
            let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = silent.local_addr().expect("an address");
            let mut command = site.program(&["serve"]);
            if setting == "AUTH_JWKS_URL" {
                command.env_remove("AUTH_HS256_SECRET_FILE").env(setting, format!("http://{address}/keys"));
            } else {
                command.env(setting, format!("postgres://user@{address}/database?sslmode=disable"));
            }
            let mut asked = None;
            // The connection stays open: nobody closes it.
            ends(command, signal, async { asked = Some(silent.accept().await.expect("asked")) }).await;
        }
    }
}

#[tokio::test]
async fn a_start_that_waits_for_its_own_postgresql_ends_at_once_and_the_next_one_serves() {
    for signal in SIGNALS {
        let site = Site::embedded().await;
        // `initdb` is at work.
        let folder = site.path("data").join("postgres.new");
        ends(site.program(&["serve"]), signal, until("initdb has begun", || async { folder.exists() })).await;
        Server::start(site.program(&["serve"])).await.stop().await;
    }
}
