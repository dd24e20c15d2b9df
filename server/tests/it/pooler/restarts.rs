//! A database that is stopped and started again behind its pooler, which keeps the connections of its clients.

use category_mirror::PROGRAM;
use category_mirror::postgres::{Durability, Embedded, Options};
use serde_json::json;
use sqlx::ConnectOptions;
use tempfile::TempDir;
use tonic_health::pb::health_check_response::ServingStatus::{NotServing, Serving};

use super::{PgBouncer, is_installed, let_in, user_of};
use crate::processes::site::{Site, ended, folder};

async fn start(folder: &TempDir) -> Embedded {
    let mut options = Options::new(PROGRAM, folder.path().join("data"));
    options.durability = Durability::Volatile;
    Embedded::start(options).await.expect("started")
}

#[tokio::test]
async fn a_server_behind_a_pooler_recovers_from_a_restart_of_its_database() {
    if !is_installed() {
        return;
    }
    let (site, folder) = (Site::embedded().await, folder());
    let database = start(&folder).await;
    let direct = database.connect_options();
    let sockets = direct.get_socket().expect("a socket").to_owned();
    let data = sockets.parent().expect("a folder");
    let pooler = PgBouncer::start_with(&database, data, "pool_mode = transaction\nserver_login_retry = 1\n").await;
    let (url, direct) = (pooler.options(&direct).to_url_lossy(), direct.to_url_lossy());
    let settings = [("DATABASE_URL", url.as_str()), ("DATABASE_DIRECT_URL", direct.as_str()), ("DATA_DIR", "")];
    let server = site.serve(&settings).await;
    let client = site.client(&server);
    let mut health = server.health().await;
    health.becomes(Serving).await;
    site.load(&client).await;
    // Longer than the database takes to go; the test holds however long it is.
    site.google.fault(json!({"method": "locations.get", "delay_ms": 1500, "times": 1})).await;
    let run = site.trigger(&client).await;
    site.asked("locations.get", 1).await;

    database.stop().await;
    let refused = client.get_tenant("store").send().await.expect_err("refused");
    assert_eq!(refused.reason(), Some("DATABASE_UNAVAILABLE"), "{refused}");
    health.becomes(NotServing).await;

    let database = start(&folder).await;
    let_in(&database, data, user_of(&sockets)).await;
    health.becomes(Serving).await;
    client.get_tenant("store").send().await.expect("recovered");
    site.assert_mirrored_once(&ended(&client, &run).await).await;
    drop(health);
    server.stop().await;
    drop(pooler);
    database.stop().await;
}
