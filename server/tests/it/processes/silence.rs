//! A database whose host falls silent, without a reset or an end, and comes back: nothing waits for it for long, and nothing is lost.

use std::time::{Duration, Instant};

use category_mirror::PROGRAM;
use category_mirror::postgres::{Durability, Embedded, Options};
use category_mirror_client::{Client, Error, RunState};
use futures::future::join_all;
use nix::sys::signal::Signal;
use serde_json::json;
use tempfile::TempDir;
use tonic_health::pb::health_check_response::ServingStatus::{NotServing, Serving};

use super::{
    name::Name,
    server::Server,
    site::{Site, ended, folder},
};

/// Connections of calls: a place that is lost in one silence is missed in the next.
const CONNECTIONS: &str = "3";
/// Silences, one after the other.
const ROUNDS: usize = 4;
/// Calls at once.
const CALLS: usize = 9;

/// A server whose database is behind a name.
struct Behind {
    site: Site,
    name: Name,
    server: Server,
    client: Client,
    database: Embedded,
    _folder: TempDir,
}

async fn behind(settings: &[(&str, &str)]) -> Behind {
    let (site, folder) = (Site::embedded().await, folder());
    let mut options = Options::new(PROGRAM, folder.path().join("data"));
    options.durability = Durability::Volatile;
    let database = Embedded::start(options).await.expect("started");
    let socket = database.connect_options().get_socket().expect("a socket").join(".s.PGSQL.5432");
    let name = Name::of(socket).await;
    let url = name.url();
    let mut all = vec![("DATABASE_URL", url.as_str()), ("DATA_DIR", ""), ("DATABASE_MAX_CONNECTIONS", CONNECTIONS)];
    all.extend(settings);
    let server = site.serve(&all).await;
    let client = site.client(&server);
    site.load(&client).await;
    Behind { site, name, server, client, database, _folder: folder }
}

/// As many calls at once as make each connection busy.
async fn calls(client: &Client) -> Vec<Result<(), Error>> {
    let call = async || {
        client.set_tenant_categories("store", "cafe").additional(["bakery"]).send().await?;
        client.get_tenant("store").send().await.map(drop)
    };
    join_all((0..CALLS).map(|_| call())).await
}

#[tokio::test]
async fn silence_of_the_database_costs_no_attempt_and_no_connection() {
    let Behind { site, name, server, client, database, _folder } = behind(&[("RUNNER_LEASE", "30s")]).await;
    let mut health = server.health().await;
    health.becomes(Serving).await;
    for round in 0..ROUNDS {
        // Google answers in the middle of the silence: the attempt has something to say that nobody hears.
        site.google.fault(json!({"method": "locations.get", "delay_ms": 500, "times": 1})).await;
        let asked = site.google.count("locations.get").await;
        let run = site.trigger(&client).await;
        site.asked("locations.get", asked + 1).await;
        name.silence(true);
        let silent_at = Instant::now();
        let refused = calls(&client).await;
        let given_up = silent_at.elapsed();
        for call in refused {
            let error = call.expect_err("nobody answers");
            assert_eq!(error.reason(), Some("DATABASE_UNAVAILABLE"), "{error}");
        }
        health.becomes(NotServing).await;
        let noticed = silent_at.elapsed();
        name.silence(false);
        let heard_at = Instant::now();
        health.becomes(Serving).await;
        let healthy = heard_at.elapsed();
        for call in calls(&client).await {
            call.expect("answered");
        }
        let run = ended(&client, &run).await;
        eprintln!(
            "silence {round}: calls refused after {given_up:?}, noticed after {noticed:?}; health {healthy:?}, run ended {:?} after the return",
            heard_at.elapsed()
        );
        assert_eq!((run.state, run.attempt), (RunState::Succeeded, 1), "{run:?}");
    }
    assert_eq!(site.google.writes().await.len(), 1);
    drop(health);
    server.stop().await;
    database.stop().await;
}

#[tokio::test]
async fn silence_of_the_database_does_not_hold_up_a_shutdown() {
    let Behind { site, name, server, client, database, _folder } = behind(&[("SHUTDOWN_GRACE_PERIOD", "1s")]).await;
    site.google.fault(json!({"method": "locations.get", "delay_ms": 500, "times": 1})).await;
    let run = site.trigger(&client).await;
    site.asked("locations.get", 1).await;
    name.silence(true);
    server.signal(Signal::SIGTERM);
    let told_at = Instant::now();
    let (status, log) = server.ended().await;
    let took = told_at.elapsed();
    eprintln!("ended {took:?} after the signal");
    // Longer is a single answer waited for, were it not for the pings. A supervisor would have killed it by then.
    assert!(took < Duration::from_secs(30), "{took:?}: {log:#?}");
    assert_eq!(status.code(), Some(0), "{log:#?}");

    name.silence(false);
    let url = name.url();
    let server = site.serve(&[("DATABASE_URL", &url), ("DATA_DIR", "")]).await;
    site.assert_mirrored_once(&ended(&site.client(&server), &run).await).await;
    server.stop().await;
    database.stop().await;
}
