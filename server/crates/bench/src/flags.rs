//! From a switch-off to the last of several servers that heeds it.

use std::time::{Duration, Instant};

use category_mirror::{commands::CommandError, domain::Flag};
use category_mirror_client::{Client, FlagState, Strategy};
use futures::future::try_join_all;
use serde_json::json;

use crate::{
    environment::BenchEnvironment,
    in_process::in_process,
    load::percentile_ms,
    report::{report, rounded},
};

const SERVERS: usize = 3;
/// Runs at once.
const CONCURRENCY: usize = 10;
/// The figure to reach.
const TARGET_MS: f64 = 2000.0;

/// Switches mirroring off and on again, for as long as the window is.
pub(crate) async fn run(environment: &BenchEnvironment, window: Duration) -> Result<(), CommandError> {
    let mut services = Vec::new();
    for _ in 0..SERVERS {
        let google = in_process(Duration::ZERO, |_| {})?;
        services.push(environment.serve(CONCURRENCY, google).await?);
    }
    let clients: Vec<Client> = services.iter().map(|service| service.clients[0].clone()).collect();
    let mut waits = Vec::new();
    let began = Instant::now();
    while began.elapsed() < window {
        switch(&clients[0], FlagState::On).await?;
        try_join_all(clients.iter().map(|client| until(client, true))).await?;
        let switched = Instant::now();
        switch(&clients[0], FlagState::Off).await?;
        try_join_all(clients.iter().map(|client| until(client, false))).await?;
        waits.push(switched.elapsed());
    }
    for service in services {
        service.stop().await;
    }
    waits.sort_unstable();
    report(&json!({
        "bench": "flags",
        "servers": SERVERS,
        "switches": waits.len(),
        "off_everywhere_p50_ms": rounded(percentile_ms(&waits, 50)),
        "off_everywhere_p99_ms": rounded(percentile_ms(&waits, 99)),
        "off_everywhere_max_ms": rounded(percentile_ms(&waits, 100)),
        "ratio_max_to_target": rounded(percentile_ms(&waits, 100) / TARGET_MS),
    }))?;
    Ok(())
}

async fn switch(client: &Client, state: FlagState) -> Result<(), CommandError> {
    let switched = client.update_flag(Flag::CategoryMirroring.as_str()).state(state).reason("bench").send().await;
    switched.map(drop).map_err(|error| CommandError::failed("cannot switch a flag", error))
}

/// Asks for a run again and again, until the server accepts it, or refuses it because of the flag.
async fn until(client: &Client, accepts: bool) -> Result<(), CommandError> {
    loop {
        let accepted = match client.mirror("bench-0", Strategy::PlatformToGbp).send().await {
            Ok(_) => true,
            Err(error) if error.is_feature_disabled() => false,
            Err(error) => return Err(CommandError::failed("cannot ask for a run", error)),
        };
        if accepted == accepts {
            return Ok(());
        }
    }
}
