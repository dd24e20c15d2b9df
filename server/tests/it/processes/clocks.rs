//! Servers whose clocks differ.

use std::path::Path;

use category_mirror_client::Strategy;
use chrono::{DateTime, TimeDelta, Utc};

use super::site::{Site, ended};

/// Where Debian's package `faketime` has its library.
const LIBRARIES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];

/// One server is five minutes ahead, the other five minutes behind: what is accepted by turns is listed in the order of acceptance, and the
/// last is the last.
#[tokio::test]
#[ignore = "needs libfaketime (Debian: faketime); `clock` tests the same without it"]
async fn what_servers_five_minutes_apart_accept_is_in_the_order_of_acceptance() {
    let library = LIBRARIES.into_iter().find(|path| Path::new(path).exists()).expect("libfaketime");
    let site = Site::new().await;
    let serve = async |ahead| {
        let clock = [("LD_PRELOAD", library), ("FAKETIME", ahead), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")];
        site.serve(&clock).await
    };
    let servers = [serve("+5m").await, serve("-5m").await];
    let clients = [site.client(&servers[0]), site.client(&servers[1])];
    site.load(&clients[0]).await;
    let began: DateTime<Utc> = sqlx::query_scalar("select now()").fetch_one(&site.pool()).await.expect("a time");

    let mut accepted = Vec::new();
    for turn in 0..6 {
        let run = clients[turn % 2].mirror("store", Strategy::PlatformToGbp).dry_run(true).send().await;
        let run = ended(&clients[turn % 2], &run.expect("accepted").run.name).await;
        for client in &clients {
            let last = client.get_last_run("store", Strategy::PlatformToGbp).send().await.expect("a run");
            assert_eq!(last.name, run.name, "turn {turn}");
        }
        accepted.insert(0, run.name);
    }
    for client in &clients {
        let listed = client.list_sync_logs().accepted_from(began - TimeDelta::seconds(1)).send();
        let listed: Vec<String> = listed.collect().await.expect("listed").into_iter().map(|run| run.name).collect();
        assert_eq!(listed, accepted);
    }
}
