//! The schema goes up, down and up again.

use category_mirror::store::migrations;
use sqlx::{AssertSqlSafe, Connection, PgConnection, migrate::Migrate, postgres::PgPoolOptions};

use crate::database;

#[tokio::test]
async fn every_migration_can_be_undone_and_made_again() {
    let database = database::create().await;
    let pool = database.pool();
    let before = schema(&pool).await;
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
    migrations::undo(&pool, 18).await.expect("undone");
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
    migrations::undo(&pool, 18).await.expect("undone");
    let mut reader = pool.begin().await.expect("begun");
    sqlx::query("select count(*) from tenant_rollup_watermark").execute(&mut *reader).await.expect("read");
    let migrating = tokio::spawn({
        let pool = pool.clone();
        async move { migrations::migrate(&pool).await }
    });
    let waits =
        "select exists (select 1 from pg_locks where not granted and relation = 'tenant_rollup_watermark'::regclass)";
    while !sqlx::query_scalar::<_, bool>(waits).fetch_one(&pool).await.expect("asked") {}
    // Behind the migration, which gives up its place for it.
    sqlx::query("select count(*) from tenant_rollup_watermark").execute(&pool).await.expect("read");
    assert!(!migrating.is_finished());
    reader.rollback().await.expect("done");
    migrating.await.expect("no panic").expect("migrated");
}

#[tokio::test]
async fn without_the_right_to_create_an_extension_the_error_says_what_to_do() {
    let database = database::create().await;
    let pool = database.pool();
    migrations::undo(&pool, 6).await.expect("undone");
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

/// Runs of two days, live ones and ended ones, as the schema had them before it had a history.
const RUNS: &str = "
    insert into run (id, tenant_id, strategy, dry_run, state, max_attempts, fencing_token, next_attempt_at, lease_expires_at, caller, created_at, ended_at,
                     reason, error, plan, written)
    values ('019a0000-0000-7000-8000-000000000001', 'a', 'platform_to_gbp', false, 'succeeded', 5, 1, null, null, 'x', now(), now(),
            null, null, '{\"changes\": [1]}', '[1]'),
           ('019a0000-0000-7000-8000-000000000002', 'a', 'platform_to_gbp', true, 'succeeded', 5, 1, null, null, 'x', now(), now(),
            null, null, '{\"changes\": []}', '[]'),
           ('019b0000-0000-7000-8000-000000000003', 'a', 'platform_to_gbp', false, 'failed', 5, 5, null, null, 'x', now(), now(),
            'X', '{}', null, '[]'),
           ('019b0000-0000-7000-8000-000000000004', 'a', 'platform_to_gbp', false, 'queued', 5, 1, now(), null, 'x', now(), null,
            'X', '{}', null, '[]'),
           ('019b0000-0000-7000-8000-000000000005', 'b', 'platform_to_gbp', false, 'running', 5, 1, null, now(), 'x', now(), null,
            null, null, '{\"changes\": [1]}', '[]')";

#[tokio::test]
async fn what_has_ended_moves_to_the_history_and_back() {
    const COLUMNS: &str =
        "id, tenant_id, strategy, dry_run, state, revision, fencing_token, uncounted_attempts, max_attempts, cancel_requested, plan,
                           out_of_sync, written, reason, error, caller, created_at, ended_at";
    let database = database::create().await;
    let pool = database.pool();
    let rows = async |table: &str| -> Vec<String> {
        let rows = format!("select row({COLUMNS})::text from {table} order by id");
        sqlx::query_scalar(AssertSqlSafe(rows)).fetch_all(&pool).await.expect("read")
    };
    migrations::undo(&pool, 4).await.expect("undone");
    sqlx::raw_sql(RUNS).execute(&pool).await.expect("runs");
    let before = rows("run").await;

    migrations::migrate(&pool).await.expect("migrated");
    assert_eq!(rows("all_runs").await, before);
    assert_eq!(rows("run_history").await, before[..3]);
    let successes: Vec<String> =
        sqlx::query_scalar("select tenant_id from last_success").fetch_all(&pool).await.expect("read");
    assert_eq!(successes, ["a"]);

    migrations::undo(&pool, 4).await.expect("undone");
    assert_eq!(rows("run").await, before);
}

/// Ended runs as an earlier version could leave them: some that wrote and were skipped or cancelled all the same, and some whose write is
/// unsettled and that did not fail.
const ENDED_BEFORE: &str = "
    select ensure_run_history_partition('2025-10-24');
    insert into run_history (id, tenant_id, strategy, dry_run, state, revision, fencing_token, uncounted_attempts, max_attempts, cancel_requested, plan,
                             write_intent, attempts, written, created, updated, deleted, unmapped, reason, error, caller, created_at, ended_at)
    select run_id_floor('2025-10-24Z'::timestamptz + number * interval '1 minute'), 'a', 'platform_to_gbp', false, state, 3, 1, 0, 5,
           state = 'cancelled', null, write_intent::jsonb, '[]', written::jsonb, 0, 0, 0, 0, reason, error::jsonb, 'x', now(), now()
      from (values (1, 'skipped', null, '[1]', 'FEATURE_DISABLED', '{}'),
                   (2, 'cancelled', null, '[1]', null, null),
                   (3, 'cancelled', '{\"before\": []}', '[]', null, null),
                   (4, 'skipped', '{\"before\": []}', '[]', 'PLAN_STALE', '{}'),
                   (5, 'failed', '{\"before\": []}', '[1]', 'X', '{}'),
                   (6, 'succeeded', null, '[1]', null, null)) as ended (number, state, write_intent, written, reason, error)";

#[tokio::test]
async fn what_ended_under_looser_rules_keeps_no_server_from_the_newest_schema() {
    let database = database::create().await;
    let pool = database.pool();
    migrations::undo(&pool, 15).await.expect("undone");
    sqlx::raw_sql(ENDED_BEFORE).execute(&pool).await.expect("ended");
    migrations::migrate(&pool).await.expect("migrated");
    let ended: i64 = sqlx::query_scalar("select count(*) from run_history").fetch_one(&pool).await.expect("read");
    assert_eq!(ended, 6);
    migrations::undo(&pool, 15).await.expect("undone");
    migrations::migrate(&pool).await.expect("migrated again");
}

/// What a database has in the middle of its work: of each table and column that the migrations after the 15th have made, something.
const AT_WORK: &str = "
    insert into tenant (id, organization_id, display_name, gbp_account, gbp_location, region_code, language_code, created_at, updated_at)
    select id, 'chain', id, '1', 'at-' || id, 'US', 'en', now(), now() from unnest(array['a', 'b', 'c']) as id;
    insert into batch (id, organization_id, strategy, dry_run, flag_at_acceptance, tenants, without_location, disabled, max_attempts, overridden_guards,
                       caller, override_reason, created_at, runs_created, failed, max_overrides, overrides_reserved, stopped, failure_reason_counts)
    values ('019a0000-0000-7000-8000-00000000000b', 'chain', 'platform_to_gbp', false, '{}', 3, 0, 0, 5, '{removals}',
            'x', 'seen', now(), 2, 1, 4, 2, '{\"removals\": 1}', '{\"GUARD\": 1}');
    insert into batch_expansion (batch_id, cursor, last_chunk_at, tenants_created_until)
    values ('019a0000-0000-7000-8000-00000000000b', 'b', now(), now());
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
    update tenant_rollup_watermark set day = current_date, counted_to = run_id_floor(now())";

#[tokio::test]
async fn a_database_at_work_goes_down_to_the_schema_before_joins_and_up_again() {
    let database = database::create().await;
    let pool = database.pool();
    let counts = async || -> Vec<i64> {
        let all = "select unnest(array[(select count(*) from run), (select count(*) from tenant_sync), (select count(*) from batch_expansion),
                                       (select count(*) from last_success), (select runs_created - runs_ended from batch)])";
        sqlx::query_scalar(all).fetch_all(&pool).await.expect("counted")
    };
    sqlx::raw_sql(AT_WORK).execute(&pool).await.expect("at work");
    let before = counts().await;
    for target in [20, 19, 18, 17, 16, 15] {
        migrations::undo(&pool, target).await.unwrap_or_else(|error| panic!("down to {target}: {error}"));
        assert_eq!(counts().await, before, "{target}");
        migrations::migrate(&pool).await.unwrap_or_else(|error| panic!("up from {target}: {error}"));
        assert_eq!(counts().await, before, "{target}");
    }
    // As what was never counted: a decision of before took effect at once.
    let states: Vec<Option<String>> = sqlx::query_scalar("select decision_state from tenant_sync order by tenant_id")
        .fetch_all(&pool)
        .await
        .expect("read");
    assert_eq!(states, [Some("executed".to_owned()), Some("executed".to_owned()), None]);
}

/// Everything that a migration can make: relations, types, functions, constraints, triggers.
async fn schema(pool: &sqlx::PgPool) -> Vec<String> {
    sqlx::query_scalar(
        "select 'relation ' || relname || ' ' || relkind::text from pg_class
         where relnamespace = 'public'::regnamespace and relname not like '\\_sqlx%'
         union all select 'type ' || typname from pg_type
         where typnamespace = 'public'::regnamespace and typname !~ '^__?sqlx'
         union all select 'function ' || oid::regprocedure from pg_proc where pronamespace = 'public'::regnamespace
         union all select 'constraint ' || conrelid::regclass || ' ' || pg_get_constraintdef(oid) from pg_constraint
         where connamespace = 'public'::regnamespace and conrelid::regclass::text !~ '^_sqlx'
         union all select 'trigger ' || tgname from pg_trigger where not tgisinternal
         order by 1",
    )
    .fetch_all(pool)
    .await
    .expect("read")
}
