//! Servers whose clocks differ.

use std::path::Path;

use category_mirror_client::{Strategy, SyncDecision};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::Row;

use super::site::{Site, ended};

/// Where Debian's package `faketime` has its library.
const LIBRARIES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];

fn library() -> Option<&'static str> {
    let library = LIBRARIES.into_iter().find(|path| Path::new(path).exists());
    if library.is_none() {
        eprintln!("libfaketime is not installed (Debian: faketime), so this is not tested");
    }
    library
}

/// What gives a server a clock of its own. Waits and leases stay as long as they are.
fn clock<'a>(library: &'a str, ahead: &'a str) -> [(&'a str, &'a str); 3] {
    [("LD_PRELOAD", library), ("FAKETIME", ahead), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")]
}

/// Runs, batches and what executes a decision: their ids and times are the database's, and windows of its time find them.
#[tokio::test]
async fn what_is_accepted_has_the_databases_time_whatever_the_servers_clock_says() {
    let Some(library) = library() else { return };
    for ahead in ["+5m", "-5m"] {
        let site = Site::new().await;
        // Nothing is carried out, so that all is still there.
        let mut settings = clock(library, ahead).to_vec();
        settings.push(("RUNNER_CONCURRENCY", "0"));
        let server = site.serve(&settings).await;
        let client = site.client(&server);
        site.load(&client).await;
        let pool = site.pool();
        for n in 0..3 {
            let tenant = client.create_tenant(format!("chain-{n}")).display_name("chain").organization("chain");
            let tenant = tenant.location("1", format!("9{n}")).region_code("US").language_code("en");
            tenant.send().await.expect("created");
        }
        client
            .create_tenant("other")
            .display_name("other")
            .location("1", "78")
            .region_code("US")
            .language_code("en")
            .send()
            .await
            .expect("created");
        let began: DateTime<Utc> = sqlx::query_scalar("select now()").fetch_one(&pool).await.expect("a time");

        let single = client.mirror("store", Strategy::PlatformToGbp).send().await.expect("accepted").run;
        client.mirror_organization("chain", Strategy::PlatformToGbp).send().await.expect("accepted");
        client.decide_tenant_sync("other", SyncDecision::PushAgain, "why").send().await.expect("decided");
        while sqlx::query_scalar::<_, i64>("select count(*) from all_runs").fetch_one(&pool).await.expect("counted") < 5
        {
        }

        let now: DateTime<Utc> = sqlx::query_scalar("select now()").fetch_one(&pool).await.expect("a time");
        let rows = sqlx::query(
            "select id::text, run_id_time(id) as of_id, created_at from all_runs
              union all select id::text, run_id_time(id), created_at from batch",
        );
        let rows = rows.fetch_all(&pool).await.expect("read");
        assert_eq!(rows.len(), 6);
        for row in rows {
            let (of_id, created_at): (DateTime<Utc>, DateTime<Utc>) = (row.get("of_id"), row.get("created_at"));
            let id: String = row.get("id");
            assert!(
                (of_id - created_at).abs() < TimeDelta::milliseconds(2),
                "{ahead}: {id} of {of_id}, at {created_at}"
            );
            assert!(began <= created_at && created_at <= now, "{ahead}: {id} at {created_at}");
        }
        let within = client.list_sync_logs().accepted_from(began).accepted_before(now + TimeDelta::seconds(1));
        assert_eq!(within.send().collect().await.expect("listed").len(), 5, "{ahead}");
        let before = client.list_sync_logs().accepted_before(began).send().collect().await.expect("listed");
        assert_eq!(before, [], "{ahead}");
        let last = client.get_last_run("store", Strategy::PlatformToGbp).send().await.expect("a run");
        assert_eq!(last.name, single.name);
    }
}

/// One server is five minutes ahead, the other five minutes behind: what is accepted by turns is listed in the order of acceptance, and the
/// last is the last.
#[tokio::test]
async fn what_servers_five_minutes_apart_accept_is_in_the_order_of_acceptance() {
    let Some(library) = library() else { return };
    let site = Site::new().await;
    let servers = [site.serve(&clock(library, "+5m")).await, site.serve(&clock(library, "-5m")).await];
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
