//! How PostgreSQL carries out the statements that run often: by an index, however large the history is.

use sqlx::{AssertSqlSafe, Executor, PgConnection};

use super::{TestStore, statements, store_with};

/// A history of 28,799 runs of 1,000 tenants, 20 organizations and 10 batches in 20 whole days, 3,000 live ones, and 30,000 request ids.
pub(super) const HISTORY: &str = r#"
    select ensure_run_history_partition((now() at time zone 'UTC')::date - n) from generate_series(1, 20) n;
    insert into run_history (id, tenant_id, organization_id, batch_id, strategy, dry_run, state, fencing_token, caller, created_at, ended_at,
                             reason, error, plan, revision, uncounted_attempts, max_attempts, cancel_requested, attempts, written,
                             created, updated, deleted, unmapped)
    select run_id_floor(at), 't' || n % 1000, case when n % 2 = 0 then 'org-' || n % 40 end,
           case when n % 3 = 2 then lpad((n / 3 % 10)::text, 32, '0')::uuid end,
           case when n % 20 = 7 then 'gbp_to_platform' else 'platform_to_gbp' end, n % 10 = 0,
           case when n % 50 = 0 then 'failed' else 'succeeded' end, 1, 'caller-' || n / 7 % 20, at, at,
           case when n % 50 = 0 then 'X' end, case when n % 50 = 0 then '{"reason": "X", "message": "", "attempt": 1, "metadata": {}, "upstream_details": null}'::jsonb end,
           jsonb_build_object('changes', case when n % 30 = 10 then '[1]'::jsonb else '[]' end),
           2, 0, 5, false, '[]', '[]', 0, 0, 0, 0
      from (select n, date_trunc('day', now(), 'UTC') - interval '20 days' + interval '1 minute' * n as at
              from generate_series(1, 28799) n) as history;
    insert into last_success (tenant_id, strategy, ended_at) select 't' || n, 'platform_to_gbp', now() from generate_series(0, 999) n;
    insert into run (id, tenant_id, strategy, dry_run, state, max_attempts, fencing_token, next_attempt_at, lease_expires_at, caller, created_at)
    select run_id_floor(at), 'l' || n, 'platform_to_gbp', false, state, 5, 1, case when n % 3 = 0 and state = 'queued' then now() end,
           case when state = 'running' then at end, 'tester', at
      from (select n, now() - interval '1 second' * (3000 - n) as at, case when n > 2000 then 'running' else 'queued' end as state
              from generate_series(1, 3000) n) as live;
    insert into idempotency_key
    select gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), false, now() - interval '1 minute' * (30000 - n)
      from generate_series(1, 30000) n;
    insert into tenant (id, display_name, organization_id, gbp_account, gbp_location, region_code, language_code, created_at, updated_at)
    select 's' || n, 'S', 'o' || n % 100, '1', 's' || n, 'US', 'en', now(), now() from generate_series(1, 20000) n;
    insert into tenant_sync (tenant_id, organization_id, gbp_location, cause, cause_at, matches_baseline, conflict_at)
    select id, organization_id, gbp_location, case when id like '%00' then 'merchant_edited' else 'in_sync' end, now(), true,
           case when id like '%000' then now() end
      from tenant;
    analyze tenant;
    analyze tenant_sync;
    analyze run;
    analyze run_history;
    analyze last_success;
    analyze idempotency_key;
"#;

/// A text that only the statement has, the parameters, and the index that must show. The generic plan knows no parameters, and so is the worst
/// that a statement comes to; where filters are optional, PostgreSQL plans for the values.
const STATEMENTS: [[&str; 4]; 28] = [
    ["with interactive as", "null, 10, 10, '30s', null", "run_ready", "hot"],
    [
        "as ending (id",
        "null, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '[]', '{}', '{}', '{}'",
        "run_running",
        "hot",
    ],
    ["and claim_id = any", "'{}'", "run_pkey", "hot"],
    ["with held as", "null, '{}', '{}', '30s'", "run_pkey", "generic"],
    ["with due as", "null, 10", "run_delayed", "hot"],
    ["with next as", "null, '{tenants/l1}', '30s', null", "run_ready", "generic"],
    ["with waiting as", "null, '1', 'CREDENTIALS_REJECTED', 1000", "run_delayed", "generic"],
    ["with releasing as", "'{}', '{}'", "run_pkey", "generic"],
    [
        "with wanted as",
        "null, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}'",
        "run_one_live_a_tenant",
        "hot",
    ],
    ["with expired as", "null, 10, 20, '{}', '{}'", "run_running", "generic"],
    ["delete from idempotency_key", "null, 1000", "idempotency_key_by_age", "generic"],
    ["next_attempt_at from run where tenant_id = $1", "'t7'", "run_one_live_a_tenant", "generic"],
    ["as has_begun_to_write", "'{t7}'", "run_one_live_a_tenant", "generic"],
    [
        "unnest(page.tenant_ids)",
        "'019b0000-0000-7000-8000-000000000001', '', now(), 201, 2",
        "batch_tenant_page_pkey",
        "generic",
    ],
    // All of the platform's categories for each run would be too many.
    ["as wanted (run_id", "null, '{}', '{}', '{}'", "(slug = place.slug)", "hot"],
    [
        "array_agg(id order by id desc) filter",
        "'{t7}', now() - interval '90 days', null, 'hour', null, '00000000-0000-0000-0000-000000000000'",
        "tenant_id_id_idx",
        "hot",
    ],
    ["from tenant_rollup_watermark", "'{t7}', now()", "tenant_rollup_pkey", "hot"],
    ["where ended_at > $1", "now(), '00000000-0000-7000-8000-000000007000'", "ended_at_idx", "generic"],
    ["revision from all_runs where id = any ($1)", "'{}'", "run_pkey", "generic"],
    ["where id = any ($1)\n", "'{}', null, null, null", "run_pkey", "generic"],
    [
        "and ($5::uuid is null or batch_id = $5)",
        "'00000000-0000-7000-8000-000000007000', null, null, 100, null",
        "run_pkey",
        "custom",
    ],
    [
        "revision from run_history where batch_id = $1",
        "'019b0000-0000-7000-8000-000000000001', now()",
        "batch_id_id_idx",
        "generic",
    ],
    ["with counted as", "null, 10000", "run_ready", "hot"],
    ["limit $4) as found", "'{merchant_edited,unknown}', '', null, 50", "tenant_sync_by_cause", "custom"],
    ["limit $4) as found", "'{merchant_edited,in_sync}', '', 'o7', 50", "tenant_sync_by_organization", "custom"],
    ["not $3 or conflict_at", "'', null, true, '{}', null, 50", "tenant_sync_in_conflict", "custom"],
    ["not $3 or conflict_at", "'', '{s1,s2}', false, '{in_sync}', null, 50", "tenant_id = ANY", "custom"],
    ["select cause, count(*) from tenant_sync", "'{merchant_edited}', null, null", "tenant_sync_by_cause", "custom"],
];

#[tokio::test]
async fn what_runs_often_goes_by_an_index() {
    let store = store_with(&[]).await;
    store.execute(HISTORY).await;
    let mut connection = store.pool.acquire().await.expect("connected");
    let all = statements::all();
    // As many rows as there are, and 30 and 900 times as many, as far as the planner knows.
    for times in [1, 30, 30] {
        believe(&store, times).await;
        for [piece, parameters, index, mode] in STATEMENTS {
            let mut matching = all.iter().filter(|found| found.sql.contains(piece));
            let found = matching.next().unwrap_or_else(|| panic!("no statement has `{piece}`"));
            assert!(matching.next().is_none(), "several statements have `{piece}`");
            let plan = plan(&mut connection, &found.sql, parameters, mode).await;
            assert!(
                plan.contains(index)
                    && !plan.contains("Seq Scan on run")
                    && !plan.contains("Seq Scan on idempotency_key"),
                "{}:\n{plan}",
                found.place
            );
        }
    }
}

/// Has the planner believe that each table has so many times the rows.
async fn believe(store: &TestStore, times: i32) {
    sqlx::query(
        "update pg_class set reltuples = reltuples * $1 where relnamespace = 'public'::regnamespace and reltuples > 0",
    )
    .bind(times)
    .execute(&store.pool)
    .await
    .expect("believed");
}

async fn plan(connection: &mut PgConnection, sql: &str, parameters: &str, mode: &str) -> String {
    // As the store's hot connections are set.
    let (plans, others) = if mode == "hot" { ("generic", "off") } else { (mode, "on") };
    let prepare = format!(
        "set plan_cache_mode = force_{plans}_plan; set enable_seqscan = {others}; set enable_nestloop = {others};
         deallocate all; prepare it as {sql}"
    );
    connection.execute(sqlx::raw_sql(AssertSqlSafe(prepare))).await.expect("prepared");
    let explain = sqlx::raw_sql(AssertSqlSafe(format!("explain (costs off) execute it ({parameters})")));
    let lines = connection.fetch_all(explain).await.expect("explained");
    lines.iter().map(|line| sqlx::Row::get::<String, _>(line, 0)).collect::<Vec<_>>().join("\n")
}
