//! The schema goes up, down and up again.

use std::{collections::BTreeMap, fs, path::Path};

use category_mirror::store::migrations::{self, MigrationError};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, migrate::Migrate, postgres::PgPoolOptions};

use crate::database;

/// What the schema consists of, with the order of columns; nothing where there is no schema.
async fn schema(pool: &PgPool) -> Vec<String> {
    sqlx::query_scalar(include_str!("../data/schema.sql")).bind(true).fetch_all(pool).await.expect("read")
}

/// The files of `migrations/` that end in `end`, in their order.
fn files(end: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations");
    let files = fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").path());
    let mut files: Vec<_> = files.filter(|file| file.to_string_lossy().ends_with(end)).collect();
    files.sort();
    files.iter().map(|file| fs::read_to_string(file).expect("text")).collect()
}

async fn run(pool: &PgPool, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await.unwrap_or_else(|error| panic!("{error}: {sql}"));
}

#[tokio::test]
async fn every_migration_can_be_undone_and_made_again() {
    let database = database::create().await;
    let pool = database.pool();
    let before = schema(&pool).await;
    assert!(before.len() > 500, "{before:#?}");
    let applied: Option<i64> = sqlx::query_scalar("select max(version) from _sqlx_migrations where success")
        .fetch_one(&pool)
        .await
        .expect("read");
    assert_eq!(applied.unwrap_or(0), migrations::latest());

    migrations::undo(&pool, 0).await.expect("undone");
    assert_eq!(schema(&pool).await, Vec::<String>::new(), "left over");

    migrations::migrate(&pool).await.expect("made again");
    assert_eq!(schema(&pool).await, before);
    migrations::migrate(&pool).await.expect("nothing to do");
}

#[tokio::test]
async fn each_migration_needs_only_earlier_ones_and_its_down_reverts_exactly_its_up() {
    let database = database::create_from("template template0").await;
    let pool = database.pool();
    let (ups, downs) = (files(".up.sql"), files(".down.sql"));
    assert_eq!(ups.len(), downs.len());
    assert_eq!(i64::try_from(ups.len()).ok(), Some(migrations::latest()), "numbered without gaps");
    for (version, (up, down)) in ups.iter().zip(&downs).enumerate() {
        let before = schema(&pool).await;
        run(&pool, up).await;
        let after = schema(&pool).await;
        assert_ne!(after, before, "{version}");
        run(&pool, down).await;
        assert_eq!(schema(&pool).await, before, "{version} before");
        run(&pool, up).await;
        assert_eq!(schema(&pool).await, after, "{version} again");
    }
}

#[tokio::test]
async fn constraints_are_named_as_what_they_enforce_and_indexes_after_their_table() {
    let database = database::create().await;
    let generated = "select conname::text from pg_constraint
                      where connamespace = 'public'::regnamespace and conname ~ '_(check|fkey|key|excl)[0-9]*$'
                     union all
                     select indexrelid::regclass::text from pg_index
                       join pg_class on pg_class.oid = indrelid and relnamespace = 'public'::regnamespace
                      where not starts_with(indexrelid::regclass::text, relname || '_') or indexrelid::regclass::text ~ '_idx[0-9]*$'";
    let generated: Vec<String> = sqlx::query_scalar(generated).fetch_all(&database.pool()).await.expect("read");
    assert_eq!(generated, Vec::<String>::new());
}

#[tokio::test]
async fn two_servers_may_migrate_at_once() {
    let database = database::create().await;
    let (one, other) = (database.pool(), database.pool());
    migrations::undo(&one, 0).await.expect("undone");
    let (first, second) = tokio::join!(migrations::migrate(&one), migrations::migrate(&other));
    first.expect("migrated");
    second.expect("migrated, or waited for the other");
    let applied: i64 =
        sqlx::query_scalar("select count(*) from _sqlx_migrations where success").fetch_one(&one).await.expect("read");
    assert_eq!(applied == 0, migrations::latest() == 0);
}

#[tokio::test]
async fn a_migration_of_another_server_is_waited_for_longer_than_any_statement_may_take() {
    let database = database::create().await;
    let pool = database.pool();
    migrations::undo(&pool, 7).await.expect("undone");
    let mut other = PgConnection::connect_with(&database.options()).await.expect("connected");
    other.lock().await.expect("it migrates");
    let options = database.options().options([("statement_timeout", "50ms")]);
    let impatient = PgPoolOptions::new().connect_with(options).await.expect("connected");
    let migrating = tokio::spawn(async move { migrations::migrate(&impatient).await });
    let waits = "select exists (select 1 from pg_stat_activity
                  where datname = current_database() and wait_event = 'advisory' and clock_timestamp() - query_start > interval '200 ms')";
    while !sqlx::query_scalar::<_, bool>(waits).fetch_one(&pool).await.expect("asked") {
        assert!(!migrating.is_finished(), "{:?}", migrating.await);
    }
    other.unlock().await.expect("it is done");
    migrating.await.expect("no panic").expect("migrated");
}

#[tokio::test]
async fn a_migration_does_not_keep_others_from_a_table_that_is_in_use() {
    let database = database::create().await;
    let pool = database.pool();
    // The next migration gives the tenants a trigger.
    migrations::undo(&pool, 7).await.expect("undone");
    let write = "update tenant set display_name = display_name";
    let mut writer = pool.begin().await.expect("begun");
    sqlx::query(write).execute(&mut *writer).await.expect("written");
    let migrating = tokio::spawn({
        let pool = pool.clone();
        async move { migrations::migrate(&pool).await }
    });
    let waits = "select exists (select 1 from pg_locks where not granted and relation = 'tenant'::regclass)";
    while !sqlx::query_scalar::<_, bool>(waits).fetch_one(&pool).await.expect("asked") {}
    // Behind the migration, which gives up its place for it.
    sqlx::query(write).execute(&pool).await.expect("written");
    assert!(!migrating.is_finished());
    writer.rollback().await.expect("done");
    migrating.await.expect("no panic").expect("migrated");
}

#[tokio::test]
async fn without_the_right_to_create_an_extension_the_error_says_what_to_do() {
    let database = database::create().await;
    let pool = database.pool();
    migrations::undo(&pool, 1).await.expect("undone");
    let role = "create role without_rights; grant usage, create on schema public to without_rights;
                grant all on all tables in schema public to without_rights";
    sqlx::raw_sql(role).execute(&pool).await.expect("a role");
    let limited = sqlx::PgPool::connect_with(database.options().options([("role", "without_rights")]));
    let error = migrations::migrate(&limited.await.expect("connected")).await.expect_err("no right");
    let told = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
    let told: Vec<String> = told.map(ToString::to_string).collect();
    assert!(told.join(": ").contains("have an administrator run \"create extension pg_trgm\" in database"), "{told:?}");
    sqlx::raw_sql("drop owned by without_rights; drop role without_rights").execute(&pool).await.expect("cleaned up");
}

/// What a database has in the middle of its work: rows in most tables, and a day of history that is being counted.
const AT_WORK: &str = "
    insert into tenant (id, organization_id, display_name, gbp_account, gbp_location, region_code, language_code, created_at, updated_at)
    select id, 'chain', id, '1', 'at-' || id, 'US', 'en', now(), now() from unnest(array['a', 'b', 'c']) as id;
    insert into batch (id, organization_id, strategy, dry_run, flag_at_acceptance, tenants, without_location, disabled, max_attempts, overridden_guards,
                       caller, override_reason, created_at, runs_created, failed, max_overrides, overrides_reserved, stopped, failure_reason_counts)
    values ('019a0000-0000-7000-8000-00000000000b', 'chain', 'platform_to_gbp', false, '{}', 3, 0, 0, 5, '{removals}',
            'x', 'seen', now(), 2, 1, 4, 2, '{\"removals\": 1}', '{\"GUARD\": 1}');
    insert into batch_expansion (batch_id, cursor, caller, last_chunk_at, tenants_created_until)
    values ('019a0000-0000-7000-8000-00000000000b', 'b', 'x', now(), now());
    insert into batch_tenant_page (batch_id, last_tenant_id, tenant_ids) values ('019a0000-0000-7000-8000-00000000000b', 'c', '{a,b,c}');
    insert into run (id, tenant_id, strategy, dry_run, state, max_attempts, fencing_token, lease_expires_at, caller, created_at, options, joined_at,
                     observation, batch_id, batch_write_reserved, write_intent, bulk)
    values (run_id_at(now(), 1), 'a', 'platform_to_gbp', false, 'running', 5, 1, now(), 'x', now(),
            '{\"decision\": \"push_again\"}', now(), '{}', null, false, '{}', false),
           (run_id_at(now(), 2), 'b', 'platform_to_gbp', false, 'running', 5, 1, now(), 'x', now(),
            '{\"overridden_guards\": [\"removals\"], \"override_reason\": \"seen\"}', null, null, '019a0000-0000-7000-8000-00000000000b', true, null, true);
    insert into tenant_sync (tenant_id, gbp_location, cause, cause_at, matches_baseline, decision, decided_by, decided_at, decision_reason,
                             decision_run_id, decision_state, digest, unresolved, conflict_at)
    values ('a', 'at-a', 'never_synced', now(), false, 'push_again', 'x', now(), 'why', run_id_at(now(), 1), 'pending', null, null, now()),
           ('b', 'at-b', 'location_closed', now(), false, 'ignore', 'x', now(), 'why', null, 'executed', 'd', '{}', null),
           ('c', 'at-c', 'no_voice_of_merchant', now(), false, null, null, null, null, null, null, 'd', null, null);
    insert into last_success (tenant_id, strategy, ended_at, gbp_location) values ('a', 'platform_to_gbp', now(), 'at-a');
    select ensure_run_history_partition(current_date - 1);
    insert into run_history (id, tenant_id, strategy, dry_run, state, revision, fencing_token, uncounted_attempts, max_attempts, cancel_requested,
                             attempts, written, created, updated, deleted, unmapped, caller, created_at, ended_at)
    select run_id_floor((current_date - 1)::timestamp at time zone 'UTC'), 'a', 'platform_to_gbp', false, 'succeeded', 3, 1, 0, 5, false,
           '[]', '[1]', 1, 0, 0, 0, 'x', now(), now();
    insert into platform_category (slug, display_name, gcid, created_at, updated_at) values ('cafe', 'Café', 'gcid:cafe', now(), now());
    insert into tenant_category (tenant_id, position, slug) values ('a', 0, 'cafe');
    select roll_up_next_chunk(current_date, 1)";

/// The number of rows of each table. Partitions count as their table, and what is counted of history is left out: it is counted anew.
async fn rows(pool: &PgPool) -> BTreeMap<String, i64> {
    let tables = "select relname::text from pg_class
                   where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition
                     and relname !~ '^(_sqlx_migrations|tenant_rollup)'";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(pool).await.expect("tables");
    let mut rows = BTreeMap::new();
    for table in tables {
        let count = format!("select count(*) from {table}");
        let count = sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(pool).await.expect("counted");
        rows.insert(table, count);
    }
    rows
}

#[tokio::test]
async fn a_database_at_work_goes_down_to_every_version_and_keeps_the_rows_of_what_stays() {
    let database = database::create().await;
    let pool = database.pool();
    run(&pool, AT_WORK).await;
    let mut before = rows(&pool).await;
    assert!(before.values().filter(|count| **count > 0).count() > 10, "{before:?}");
    for target in (0..migrations::latest()).rev() {
        migrations::undo(&pool, target).await.unwrap_or_else(|error| panic!("down to {target}: {error}"));
        let kept = rows(&pool).await;
        before.retain(|table, _| kept.contains_key(table));
        assert_eq!(kept, before, "down to {target}");
        migrations::migrate(&pool).await.unwrap_or_else(|error| panic!("up from {target}: {error}"));
        let again = rows(&pool).await;
        assert!(kept.iter().all(|(table, count)| again.get(table) == Some(count)), "up from {target}: {again:?}");
    }
    assert_eq!(before, BTreeMap::new());
}

#[tokio::test]
async fn a_late_end_is_counted_once_after_the_counting_was_undone_and_made_again() {
    let database = database::create().await;
    let pool = database.pool();
    let count = async || -> i64 {
        let count = "select coalesce(sum(succeeded), 0) from tenant_rollup";
        sqlx::query_scalar(count).fetch_one(&pool).await.expect("counted")
    };
    let roll_up = "select roll_up_next_chunk(current_date, 10)";
    run(&pool, AT_WORK).await;
    run(&pool, roll_up).await;
    assert_eq!(count().await, 1);
    migrations::undo(&pool, 5).await.expect("undone");
    migrations::migrate(&pool).await.expect("migrated");
    let late = "insert into run_history (id, tenant_id, strategy, dry_run, state, revision, fencing_token, uncounted_attempts, max_attempts,
                                         cancel_requested, attempts, written, created, updated, deleted, unmapped, caller, created_at, ended_at)
                select run_id_at((current_date - 1)::timestamp at time zone 'UTC', 1), 'b', 'platform_to_gbp', false, 'succeeded', 3, 1, 0, 5,
                       false, '[]', '[1]', 1, 0, 0, 0, 'x', now(), now()";
    run(&pool, late).await;
    run(&pool, roll_up).await;
    assert_eq!(count().await, 2);
    run(&pool, &late.replace("run_id_at(", "run_id_floor(").replace("', 1)", "' + interval '1 s')")).await;
    assert_eq!(count().await, 3, "it counts itself");
}

/// Makes the records of the migrations those of a database from before the baseline: 26 steps, the first `steps` of them applied.
async fn record_steps_of_before(pool: &PgPool, steps: i64) {
    run(pool, "update _sqlx_migrations set checksum = sha256(checksum)").await;
    let more = "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
                select n, 'step', true, sha256(n::text::bytea), 0 from generate_series($1 + 1, $2) n";
    sqlx::query(more).bind(migrations::latest()).bind(steps).execute(pool).await.expect("recorded");
    sqlx::query("delete from _sqlx_migrations where version > $1").bind(steps).execute(pool).await.expect("deleted");
}

#[tokio::test]
async fn a_schema_of_a_development_version_is_refused_with_what_to_do() {
    for steps in [1, 7, 26] {
        let database = database::create().await;
        let pool = database.pool();
        record_steps_of_before(&pool, steps).await;
        if steps == 26 {
            run(&pool, "update schema_compatibility set oldest_server = 24").await;
        } else {
            run(&pool, "drop table schema_compatibility").await;
        }
        let before = schema(&pool).await;
        let error = migrations::migrate(&pool).await.expect_err("no upgrade");
        assert!(matches!(error, MigrationError::Diverged { version: 1 }), "{steps}: {error:?}");
        assert!(error.to_string().ends_with("start with an empty database, or an empty DATA_DIR"), "{error}");
        assert_eq!(schema(&pool).await, before, "{steps}: nothing is changed");
    }
}
