//! What the start finds out about a database, and what no setting of a database or a role changes.

use std::process::Command;

use category_mirror::store::{self, Pools, migrations};
use sqlx::{AssertSqlSafe, PgExecutor};

use crate::{
    database::{self, TestDatabase},
    pooler,
    processes::{
        refused_for_its_database,
        site::{Site, ended},
    },
};

/// Settings that a session may have from its role or its database, each with a value that would change what the service does.
const HOSTILE: [(&str, &str); 22] = [
    ("default_transaction_isolation", "serializable"),
    ("default_transaction_deferrable", "on"),
    ("statement_timeout", "1ms"),
    ("lock_timeout", "1ms"),
    ("idle_in_transaction_session_timeout", "1ms"),
    ("idle_session_timeout", "1ms"),
    ("client_connection_check_interval", "0"),
    ("search_path", "nowhere"),
    ("DateStyle", "SQL, DMY"),
    ("IntervalStyle", "iso_8601"),
    ("TimeZone", "Pacific/Chatham"),
    ("standard_conforming_strings", "off"),
    ("client_encoding", "LATIN1"),
    ("bytea_output", "escape"),
    ("extra_float_digits", "-15"),
    ("array_nulls", "off"),
    ("transform_null_equals", "on"),
    ("exit_on_error", "on"),
    ("quote_all_identifiers", "on"),
    ("gin_fuzzy_search_limit", "1"),
    ("pg_trgm.similarity_threshold", "1"),
    ("pg_trgm.word_similarity_threshold", "1"),
];

async fn run(database: &TestDatabase, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&database.pool()).await.expect("executed");
}

/// Sets a setting as an administrator would: for the database, and for the role there, which counts for more.
async fn set(database: &TestDatabase, name: &str, value: &str) {
    let value = if name == "search_path" { value.to_owned() } else { format!("'{value}'") };
    let place = database.name();
    run(database, format!("alter database {place} set {name} = {value}")).await;
    run(database, format!("alter role category_mirror in database {place} set {name} = {value}")).await;
}

/// Sets everything, but for what would cut off the statement that sets it right: behind a pooler, that is one.
pub(crate) async fn set_hostile(database: &TestDatabase) {
    for (name, value) in HOSTILE.into_iter().filter(|(_, value)| *value != "1ms") {
        set(database, name, value).await;
    }
}

async fn values(pool: impl PgExecutor<'_>) -> Vec<String> {
    let names: Vec<&str> = HOSTILE.iter().map(|(name, _)| *name).collect();
    let read = "select name || ' = ' || current_setting(name) from unnest($1::text[]) with ordinality as it (name, n) order by n";
    sqlx::query_scalar(read).bind(names).fetch_all(pool).await.expect("read")
}

#[tokio::test]
async fn a_session_has_the_same_settings_whatever_role_and_database_say() {
    let database = database::create().await;
    let usual = values(&database.pool()).await;
    for (name, value) in HOSTILE {
        set(&database, name, value).await;
        let route =
            store::check(&database.options(), None, None).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        let pools = Pools::new(route, 2);
        let listening = pools.for_listening().await.expect("connected");
        assert_eq!(values(&listening).await, usual, "{name} = {value}");
        assert_eq!(values(&pools.for_notifying()).await, usual, "{name} = {value}");
    }
    assert!(usual.contains(&"default_transaction_isolation = read committed".to_owned()), "{usual:?}");
}

/// A server and its whole way, from the schema on, in a database where everything is hostile.
async fn serves(site: &Site, pooled: bool) {
    let mut settings = Vec::new();
    if pooled {
        settings = vec![("DATABASE_URL", site.pooled_url().await), ("DATABASE_DIRECT_URL", site.database().url())];
    }
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let server = site.serve(&settings).await;
    let client = site.client(&server);
    site.load(&client).await;
    let run = ended(&client, &site.trigger(&client).await).await;
    site.assert_mirrored_once(&run).await;
    client.refresh_taxonomy("US", "en").send().await.expect("imported");
    let found = client.search_categories("caffe", "US", "en").send().collect().await.expect("found");
    assert!(found.iter().any(|it| it.category.name == "categories/gcid:cafe"), "{found:?}");
    let logs = client.list_sync_logs().tenant("store").send().collect().await.expect("listed");
    assert_eq!(logs.len(), 1);
    assert_eq!(client.get_sync_stats().send().await.expect("counted").succeeded_runs, 1);
    server.stop().await;
}

#[tokio::test]
async fn a_server_answers_right_in_a_hostile_database() {
    for pooled in [false, true] {
        if pooled && !pooler::is_installed() {
            return;
        }
        let site = Site::new().await;
        migrations::undo(&site.pool(), 0).await.expect("undone");
        set_hostile(site.database()).await;
        if !pooled && !pooler::is_wanted() {
            for (name, value) in HOSTILE {
                set(site.database(), name, value).await;
            }
        }
        serves(&site, pooled).await;
    }
}

#[tokio::test]
async fn the_extension_may_be_in_a_schema_of_its_own() {
    for pooled in [false, true] {
        if pooled && !pooler::is_installed() {
            return;
        }
        let site = Site::on(database::create_from("template template0").await).await;
        run(site.database(), "create schema extensions; create extension pg_trgm schema extensions".to_owned()).await;
        serves(&site, pooled).await;
    }
}

#[tokio::test]
async fn the_tables_may_be_in_a_schema_of_their_own() {
    let site = Site::on(database::create_from("template template0").await).await;
    let missing = unfit(site.program(&["serve"]), &[("DATABASE_SCHEMA", "own-place")]).await;
    assert!(missing.contains("DATABASE_SCHEMA=own-place does not exist; run \"create schema"), "{missing}");
    run(site.database(), "create schema \"own-place\"".to_owned()).await;
    let server = site.serve(&[("DATABASE_SCHEMA", "own-place")]).await;
    site.load(&site.client(&server)).await;
    server.stop().await;
    let tables =
        "select count(*) from pg_class where relname = 'run_history' and relnamespace = '\"own-place\"'::regnamespace";
    let tables: i64 = sqlx::query_scalar(tables).fetch_one(&site.pool()).await.expect("counted");
    assert_eq!(tables, 1);
    let elsewhere = unfit(site.program(&["serve"]), &[]).await;
    assert!(elsewhere.contains("set DATABASE_SCHEMA=own-place"), "{elsewhere}");
}

/// The line of a server that does not start with these settings.
async fn unfit(mut command: Command, settings: &[(&str, &str)]) -> String {
    for (name, value) in settings {
        if value.is_empty() {
            command.env_remove(name)
        } else {
            command.env(name, value)
        };
    }
    refused_for_its_database(command).await
}

#[tokio::test]
async fn a_database_that_is_unfit_is_refused_in_one_line_with_the_remedy() {
    // Of the whole server, so another start may have left it.
    let with_role = "do $$ begin create role unfit_role; exception when duplicate_object then null; end $$; create extension pg_trgm";
    for (create, prepare, role, remedy) in [
        ("template template0 encoding 'LATIN1' locale 'C'", "", "", "encoding 'UTF8' template template0"),
        (
            "template migrated",
            "alter database {} set default_transaction_read_only = on",
            "",
            "reset default_transaction_read_only",
        ),
        (
            "template migrated",
            "alter database {} set session_replication_role = replica",
            "",
            "reset session_replication_role",
        ),
        ("template template0", with_role, "unfit_role", "grant usage, create on schema \"public\" to \"unfit_role\""),
        ("template template0", "grant create on schema public to unfit_role", "unfit_role", "create extension pg_trgm"),
        (
            "template migrated",
            "grant create on schema public to unfit_role",
            "unfit_role",
            "grant \"category_mirror\" to \"unfit_role\"",
        ),
        (
            "template template0",
            "create schema closed; create extension pg_trgm schema closed; grant create on schema public to unfit_role",
            "unfit_role",
            "grant usage on schema \"closed\" to \"unfit_role\"",
        ),
    ] {
        let site = Site::on(database::create_from(create).await).await;
        let prepare = prepare.replace("{}", site.database().name());
        if !prepare.is_empty() {
            run(site.database(), prepare).await;
        }
        let before = tables(site.database()).await;
        let mut url = site.database().url();
        if !role.is_empty() {
            url = format!("{url}&options=-c%20role%3D{role}");
        }
        let line = unfit(site.program(&["serve"]), &[("DATABASE_URL", &url), ("DATABASE_DIRECT_URL", "")]).await;
        assert!(line.contains("DATABASE_URL: ") && line.contains(remedy), "{remedy}: {line}");
        assert_eq!(tables(site.database()).await, before, "nothing is changed");
    }
}

async fn tables(database: &TestDatabase) -> i64 {
    sqlx::query_scalar("select count(*) from pg_class").fetch_one(&database.pool()).await.expect("counted")
}
