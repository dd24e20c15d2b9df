//! The database restarted under a server: calls are refused for what it is, and everything recovers by itself.

use std::{fs, time::Duration};

use category_mirror::PROGRAM;
use category_mirror::postgres::{Durability, Embedded, Options};
use category_mirror_client::{Client, Error};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::json;
use sqlx::ConnectOptions;
use tempfile::TempDir;
use tonic_health::pb::health_check_response::ServingStatus::{NotServing, Serving};

use super::site::{Site, ended, folder};

/// Long enough for the database to go away while Google is being asked; the tests hold however long it is.
const WHILE_MS: u64 = 1500;

async fn start(folder: &TempDir) -> Embedded {
    let mut options = Options::new(PROGRAM, folder.path().join("data"));
    options.durability = Durability::Volatile;
    Embedded::start(options).await.expect("started")
}

async fn call(client: &Client) -> Result<(), Error> {
    client.get_tenant("store").send().await.map(drop)
}

fn assert_database_unavailable(error: &Error) {
    assert!(error.is_unavailable(), "{error}");
    assert_eq!(error.reason(), Some("DATABASE_UNAVAILABLE"), "{error}");
    assert!(error.retry_after().is_some(), "{error}");
}

#[tokio::test]
async fn a_database_that_is_stopped_and_started_again() {
    let (site, folder) = (Site::embedded().await, folder());
    let database = start(&folder).await;
    let url = database.connect_options().to_url_lossy();
    let server = site.serve(&[("DATABASE_URL", url.as_str())]).await;
    let client = site.client(&server);
    let mut health = server.health().await;
    health.becomes(Serving).await;
    site.load(&client).await;
    site.google.fault(json!({"method": "locations.get", "delay_ms": WHILE_MS, "times": 1})).await;
    let run = site.trigger(&client).await;
    site.asked("locations.get", 1).await;

    database.stop().await;
    assert_database_unavailable(&call(&client).await.expect_err("refused"));
    assert_database_unavailable(&client.get_run(run.as_str()).send().await.expect_err("refused"));
    health.becomes(NotServing).await;
    assert_eq!(server.healthz().await, 503);

    let database = start(&folder).await;
    health.becomes(Serving).await;
    assert_eq!(server.healthz().await, 200);
    call(&client).await.expect("recovered");
    site.assert_mirrored_once(&ended(&client, &run).await).await;
    drop(health);
    server.stop().await;
    database.stop().await;
}

#[tokio::test]
async fn a_postmaster_that_is_killed_under_its_server() {
    let site = Site::embedded().await;
    let server = site.serve(&[]).await;
    let client = site.client(&server);
    site.load(&client).await;
    site.google.fault(json!({"method": "locations.get", "delay_ms": WHILE_MS, "times": 1})).await;
    let run = site.trigger(&client).await;
    site.asked("locations.get", 1).await;

    let pid_file = fs::read_to_string(site.path("data/postgres/postmaster.pid")).expect("read");
    let postmaster = pid_file.lines().next().and_then(|pid| pid.parse().ok()).expect("a pid");
    kill(Pid::from_raw(postmaster), Signal::SIGKILL).expect("killed");
    server.logged("embedded postgresql ended, starting it again").await;

    // Whatever is called meanwhile is answered well, or refused for what it is.
    let recovered = async {
        let mut again = tokio::time::interval(Duration::from_millis(10));
        loop {
            let is_ready = server.has_logged("embedded postgresql is ready again");
            match call(&client).await {
                Ok(()) if is_ready => return,
                Ok(()) => {}
                Err(error) => assert_database_unavailable(&error),
            }
            again.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), recovered).await.expect("recovered");
    site.assert_mirrored_once(&ended(&client, &run).await).await;
    server.stop().await;
}
