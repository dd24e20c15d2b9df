//! What an orchestrator asks: whether to restart a server, and whether to send it calls.

use category_mirror::PROGRAM;
use category_mirror::postgres::{Durability, Embedded, Options};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use sqlx::ConnectOptions;

use super::{
    server::Server,
    site::{FOR_EVER_MS, Site, folder, until},
};

/// The status of a probe, and what it says.
async fn probe(server: &Server, name: &str) -> (u16, String) {
    let answer = reqwest::get(format!("http://{}/{name}", server.admin)).await.expect("an answer");
    let status = answer.status().as_u16();
    let said: Value = answer.json().await.expect("JSON");
    (status, said["status"].as_str().expect("a status").to_owned())
}

async fn becomes(server: &Server, name: &str, status: u16) {
    until(name, || async { probe(server, name).await.0 == status }).await;
}

#[tokio::test]
async fn without_its_database_a_server_is_alive_and_not_ready() {
    let (site, folder) = (Site::embedded().await, folder());
    let mut options = Options::new(PROGRAM, folder.path().join("data"));
    options.durability = Durability::Volatile;
    let database = Embedded::start(options).await.expect("started");
    let url = database.connect_options().to_url_lossy();
    let server = site.serve(&[("DATABASE_URL", url.as_str())]).await;
    for name in ["readyz", "healthz"] {
        becomes(&server, name, 200).await;
        assert_eq!(probe(&server, name).await.1, "serving");
    }
    database.stop().await;
    for name in ["readyz", "healthz"] {
        becomes(&server, name, 503).await;
        assert_eq!(probe(&server, name).await.1, "not serving");
    }
    assert_eq!(probe(&server, "livez").await, (200, "alive".to_owned()), "a restart would not bring the database back");
    server.kill().await;
}

#[tokio::test]
async fn while_it_drains_a_server_is_alive_and_not_ready() {
    let site = Site::new().await;
    let server = site.serve(&[]).await;
    let client = site.client(&server);
    site.load(&client).await;
    becomes(&server, "readyz", 200).await;
    site.google.fault(json!({"method": "locations.get", "delay_ms": FOR_EVER_MS, "times": 1})).await;
    site.trigger(&client).await;
    site.asked("locations.get", 1).await;

    server.signal(Signal::SIGTERM);
    server.logged("draining").await;
    becomes(&server, "readyz", 503).await;
    assert_eq!(probe(&server, "livez").await.0, 200);
    server.kill().await;
}
