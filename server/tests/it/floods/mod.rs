//! Floods: what callers without any right, or with a viewer's, try in order to take the service away from the others. A real server
//! process, a real PostgreSQL, the emulator, real sockets.
//!
//! The short forms are tests. The long form runs each flood for a minute, watches the server's memory, and keeps a valid caller and the
//! runner busy meanwhile:
//!
//! ```text
//! cargo test -p category-mirror-server --test it -- --ignored --nocapture floods::long
//! ```
//!
//! `FLOODS=silent,import` selects some by name, `FLOOD_SECONDS` is how long each one takes, and `FLOOD_SERVER=target/release/category-mirror`
//! is another build of the server. A flood is added in `attacks.rs` or `abandoning.rs`: a function that attacks until it is dropped.

mod abandoning;
mod age;
mod attacks;
mod connections;
mod ends;
mod every_kind;
mod given_up;
mod hanging;
mod headers;
mod peer;
mod provider;
mod requests;
mod site;
mod small;
mod strangers;
mod watcher;
mod ways;
mod without_token;

use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;

use self::{attacks::FLOODS, site::Stage, watcher::Watcher};

/// Most resident memory of a server under any flood, with a limit of 512 MB.
const MAX_RESIDENT_KB: u64 = 300 * 1024;
/// The slowest of a hundred calls of a valid caller meanwhile.
const MAX_P99: Duration = Duration::from_millis(250);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute for each flood; see the module's documentation"]
async fn long() {
    let seconds = std::env::var("FLOOD_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let wanted = std::env::var("FLOODS").unwrap_or_default();
    let mut failures = Vec::new();
    for flood in FLOODS.iter().filter(|flood| wanted.is_empty() || wanted.split(',').any(|name| name == flood.name)) {
        let stage = Stage::open(flood.settings, flood.runs).await;
        let sessions = stage.sessions().await;
        let watcher = Watcher::start(&stage).await;
        // It never ends by itself.
        let _ = timeout(Duration::from_secs(seconds), (flood.attack)(stage.target())).await;
        let seen = watcher.stop().await;
        let refused = stage.metrics("category_mirror_refused_connections_total").await;
        let is_alive = stage.is_alive();
        println!(
            "{}",
            json!({
                "flood": flood.name, "seconds": seconds, "alive": is_alive,
                "resident_kb": {"before": seen.resident_before_kb, "most": seen.most_resident_kb, "limit": MAX_RESIDENT_KB},
                "descriptors": seen.most_descriptors,
                "valid_caller": {"calls": seen.calls, "failed": seen.failed, "p50_ms": seen.percentile_ms(50), "p99_ms": seen.percentile_ms(99)},
                "runs_ended": seen.runs_ended, "last_failure": seen.last_failure, "refused_connections": refused,
                "database_sessions": stage.sessions().await - sessions,
            })
        );
        let is_well = is_alive
            && seen.most_resident_kb < MAX_RESIDENT_KB
            && seen.failed == 0
            && seen.percentile_ms(99) < MAX_P99.as_secs_f64() * 1000.0
            && seen.runs_ended > 0;
        if !is_well {
            failures.push(flood.name);
        }
        stage.close().await;
    }
    assert!(failures.is_empty(), "{failures:?}");
}
