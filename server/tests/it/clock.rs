//! Order and windows of time go by the database's clock, whatever the servers' clocks say.

use category_mirror_client::{Client, Strategy, SyncDecision};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{AssertSqlSafe, Row};

use super::{
    replica::{idle, replica},
    service::{self, Service},
};

/// Puts the database's clock ahead of the servers', or behind: for the connections that are made from now on, `now()` is another function.
async fn set_database_clock(service: &Service, ahead: &str) {
    let (name,): (String,) =
        sqlx::query_as("select current_database()::text").fetch_one(&service.pool).await.expect("a database");
    let sql = format!(
        "create schema clock;
         create function clock.now() returns timestamptz language sql stable as
             $$ select pg_catalog.now() + interval '{ahead}' $$;
         create function clock.clock_timestamp() returns timestamptz language sql volatile as
             $$ select pg_catalog.clock_timestamp() + interval '{ahead}' $$;
         alter database {name} set search_path = clock, public, pg_catalog"
    );
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&service.pool).await.expect("set");
    // Only new connections have it, and this service expands batches as well.
    let cut = "select pg_terminate_backend(pid, 10000) from pg_stat_activity
                where datname = current_database() and pid <> pg_backend_pid()";
    sqlx::raw_sql(cut).execute(&service.pool).await.expect("cut");
    // The test's own dead connections fail once each, and are dropped.
    for _ in 0..30 {
        let _ = sqlx::query("select 1").execute(&service.pool).await;
    }
}

/// Everything that a caller can have accepted: a run, a batch, and what executes a decision.
async fn accept_everything(client: &Client) -> Vec<String> {
    let single = client.mirror("store", Strategy::PlatformToGbp).send().await.expect("accepted").run;
    let batch = client.mirror_organization("chain", Strategy::PlatformToGbp).send().await.expect("accepted");
    let decided = client.decide_tenant_sync("other", SyncDecision::PushAgain, "why").send().await.expect("decided");
    vec![single.name, batch.name, decided.run.expect("a run").name]
}

#[tokio::test]
async fn what_is_accepted_has_the_databases_time_whatever_the_servers_clock_says() {
    for ahead in ["10 minutes", "-10 minutes"] {
        let service = service::start_with(idle()).await;
        service.with_store(&["cafe"], "cafe", &[]).await;
        service.tenant("other", "78").await;
        for n in 0..3 {
            service.tenant(&format!("chain-{n}"), &format!("9{n}")).await;
        }
        let joined = "update tenant set organization_id = 'chain', created_at = created_at - interval '1 hour' where id like 'chain-%'";
        sqlx::raw_sql(joined).execute(&service.pool).await.expect("joined");
        set_database_clock(&service, ahead).await;
        let server = replica(&service, idle(), &service.google.endpoint).await;

        let names = accept_everything(&server.client).await;

        service.database_says("select count(*) = 5 from every_run").await;
        let rows = sqlx::query("select id::text, run_id_time(id) as of_id, created_at from every_run union all select id::text, run_id_time(id), created_at from batch")
            .fetch_all(&service.pool)
            .await
            .expect("read");
        assert_eq!(rows.len(), 6);
        for row in rows {
            let (of_id, created_at): (DateTime<Utc>, DateTime<Utc>) = (row.get("of_id"), row.get("created_at"));
            let apart = (of_id - created_at).abs();
            assert!(
                apart < TimeDelta::milliseconds(2),
                "{ahead}: {} is of {of_id}, and made at {created_at}",
                row.get::<String, _>("id")
            );
        }
        // A window of the database's time holds them all, and nothing is outside of it.
        let now: DateTime<Utc> =
            sqlx::query_scalar(AssertSqlSafe(format!("select pg_catalog.now() + interval '{ahead}'")))
                .fetch_one(&service.pool)
                .await
                .expect("a time");
        let from = now - TimeDelta::minutes(5);
        let listed = server.client.list_sync_logs().accepted_from(from).accepted_before(now + TimeDelta::seconds(1));
        assert_eq!(listed.send().collect().await.expect("listed").len(), 5, "{ahead}");
        let before = server.client.list_sync_logs().accepted_before(from).send().collect().await.expect("listed");
        assert_eq!(before, [], "{ahead}");
        let last = server.client.get_last_run("store", Strategy::PlatformToGbp).send().await.expect("a run");
        assert_eq!(last.name, names[0]);
    }
}

/// One clock for all: what a server with a fast clock has accepted first is not the last for ever.
#[tokio::test]
async fn the_last_run_is_the_one_that_was_accepted_last() {
    let service = service::start_with(idle()).await;
    service.with_store(&["cafe"], "cafe", &[]).await;
    // Runs that a server accepted whose clock is ten minutes slow by the database's: it is that server whose clock does not count.
    set_database_clock(&service, "10 minutes").await;
    let slow = replica(&service, idle(), &service.google.endpoint).await;
    let mut accepted = Vec::new();
    for _ in 0..3 {
        let run = slow.client.mirror("store", Strategy::PlatformToGbp).send().await.expect("accepted").run;
        slow.client.cancel_run(&run.name).send().await.expect("cancelled");
        accepted.push(run);
        // As a run of another server, whose clock is the database's, would be: between them.
        let between = "insert into run (id, tenant_id, strategy, dry_run, state, max_attempts, lane, turn, caller, created_at)
             select run_id_at(pg_catalog.now() + interval '10 minutes', 0), 'store', 'platform_to_gbp', false, 'queued', 5, null, 1, 'tester', pg_catalog.now() + interval '10 minutes'";
        sqlx::raw_sql(between).execute(&service.pool).await.expect("accepted");
        let run = slow.client.get_last_run("store", Strategy::PlatformToGbp).send().await.expect("a run");
        assert_eq!(run.state, category_mirror_client::RunState::Queued, "the one that was accepted last");
        slow.client.cancel_run(&run.name).send().await.expect("cancelled");
        accepted.push(run);
    }
    let newest_first = slow.client.list_sync_logs().tenant("store").send().collect().await.expect("listed");
    let listed: Vec<&str> = newest_first.iter().rev().map(|run| run.name.as_str()).collect();
    assert_eq!(listed, accepted.iter().map(|run| run.name.as_str()).collect::<Vec<_>>());
}
