//! Two servers of neighbouring versions on one database, in both orders: while a version is rolled out, and while it is taken back.

use std::{env, process::Command};

use category_mirror::store::migrations;
use category_mirror_client::{Client, RunState, Strategy};
use serde_json::json;

use crate::processes::{
    refused_for_its_database,
    server::Server,
    site::{Site, ended},
};

/// A version that no server knows yet.
const NEXT: i64 = 9999;

/// Makes the schema that of the next version, which works with servers from `oldest` on, and has something that this one does not know.
async fn upgrade(site: &Site, oldest: i64) {
    let grown = "alter table run add column grown text not null default 'as it was', add column grown_number bigint;
                 alter table run_history add column grown text not null default 'as it was', add column grown_number bigint;
                 create table grown ();
                 insert into _sqlx_migrations (version, description, success, checksum, execution_time) values (9999, 'grown', true, '', 0)";
    sqlx::raw_sql(grown).execute(&site.pool()).await.expect("grown");
    allow(site, oldest).await;
}

async fn allow(site: &Site, oldest: i64) {
    let allow = "update schema_compatibility set oldest_server = $1";
    sqlx::query(allow).bind(oldest).execute(&site.pool()).await.expect("set");
}

async fn mirrors(site: &Site, client: &Client) {
    let run = ended(client, &site.trigger(client).await).await;
    assert_eq!(run.state, RunState::Succeeded, "{run:?}");
}

#[tokio::test]
async fn a_server_goes_on_and_starts_again_on_the_next_version_of_the_schema() {
    let site = Site::new().await;
    let server = site.serve(&[]).await;
    let client = site.client(&server);
    site.load(&client).await;
    upgrade(&site, migrations::latest()).await;
    mirrors(&site, &client).await;
    // It ends while both are there, as any process may, and has to come back.
    server.kill().await;
    let server = site.serve(&[]).await;
    assert!(server.has_logged("the schema is newer than this server, and works with it"));
    mirrors(&site, &site.client(&server)).await;
    server.stop().await;
}

#[tokio::test]
async fn a_schema_that_has_left_a_server_behind_is_refused_in_one_line() {
    let site = Site::new().await;
    site.serve(&[]).await.stop().await;
    upgrade(&site, NEXT).await;
    let line = refused_for_its_database(site.program(&["serve"])).await;
    let told = format!("the schema is at version {NEXT}, which requires servers of version {NEXT} or newer");
    assert!(line.contains(&told) && line.contains("upgrade it"), "{line}");
    allow(&site, migrations::latest()).await;
    site.serve(&[]).await.stop().await;
}

#[tokio::test]
async fn a_schema_from_before_the_baseline_is_refused_in_one_line_that_says_what_to_do() {
    let site = Site::new().await;
    site.serve(&[]).await.stop().await;
    // As the 26 steps that the baseline replaced have left it.
    let before = "update _sqlx_migrations set checksum = sha256(checksum);
                  insert into _sqlx_migrations (version, description, success, checksum, execution_time)
                  select n, 'step', true, '', 0 from generate_series((select max(version) + 1 from _sqlx_migrations), 26) n;
                  update schema_compatibility set oldest_server = 24";
    sqlx::raw_sql(before).execute(&site.pool()).await.expect("recorded");
    for command in ["serve", "migrate"] {
        let line = refused_for_its_database(site.program(&[command])).await;
        let told = "DATABASE_URL: cannot bring the database up to date: the schema is of a development version";
        assert!(line.contains(told) && line.contains("recreate it: start with an empty database"), "{line}");
    }
}

/// A server that has a run it carries out and one that waits, the newer one that comes to it, and what becomes of both.
async fn roll_out(site: &Site, old: Server, new: impl Future<Output = Server>) {
    let client = site.client(&old);
    site.load(&client).await;
    for n in 1..=3 {
        let tenant = client.create_tenant(format!("more-{n}")).display_name("More").location("1", format!("{n}"));
        tenant.region_code("US").language_code("en").send().await.expect("created");
        client.set_tenant_categories(format!("more-{n}"), "cafe").send().await.expect("set");
        site.google.put(&format!("{n}"), "bakery", &[]).await;
    }
    // One is being carried out, and waits for Google, while the schema changes.
    site.google.fault(json!({"method": "locations.get", "delay_ms": 3000, "times": 1})).await;
    let running = site.trigger(&client).await;
    site.asked("locations.get", 1).await;
    let mut queued = Vec::new();
    for n in 1..=3 {
        let mirror = client.mirror(format!("more-{n}"), Strategy::PlatformToGbp);
        let mirror = mirror.override_guards(["primary_change", "removed_share", "first_run_removals"], "a test");
        queued.push(mirror.send().await.expect("accepted").run.name);
    }

    let new = new.await;
    let newer = site.client(&new);
    let run = ended(&newer, &running).await;
    assert_eq!((run.state, run.written_changes.len()), (RunState::Succeeded, 2), "{run:?}");
    let writes = site.google.writes().await;
    assert_eq!(writes.iter().filter(|write| write.to_string().contains("locations/77")).count(), 1, "{writes:?}");
    for run in &queued {
        // Each server tells of what the other has done.
        for client in [&client, &newer] {
            let run = ended(client, run).await;
            assert_eq!(run.state, RunState::Succeeded, "{run:?}");
        }
    }
    // Both accept, and both carry out, until the old one is told to stop.
    mirrors(site, &client).await;
    mirrors(site, &newer).await;
    old.stop().await;
    mirrors(site, &newer).await;
    new.stop().await;
}

#[tokio::test]
async fn a_newer_server_migrates_under_one_that_has_runs() {
    let site = Site::new().await;
    let old = site.serve(&[("RUNNER_CONCURRENCY", "1")]).await;
    // The schema without its newest migration. This build is the older server here, which must be able to serve without it.
    migrations::undo(&site.pool(), migrations::latest() - 1).await.expect("undone");
    roll_out(&site, old, site.serve(&[])).await;
}

#[tokio::test]
#[ignore = "needs an earlier build: OLD_SERVER=/path/category-mirror cargo test -p category-mirror-server --test it -- --ignored rolling"]
async fn a_newer_server_comes_to_a_real_older_one() {
    let site = Site::new().await;
    migrations::undo(&site.pool(), 0).await.expect("undone");
    let program = env::var_os("OLD_SERVER").expect("OLD_SERVER is the path of an earlier build");
    let settings = site.program(&["serve"]);
    let mut command = Command::new(program);
    command.arg("serve").env_clear().env("RUNNER_CONCURRENCY", "1");
    command.envs(settings.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let old = Server::start(command).await;
    roll_out(&site, old, site.serve(&[])).await;
}
