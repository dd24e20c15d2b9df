//! The functions of the schema that statements share: what they return, and that the planner sees through them.

use sqlx::{AssertSqlSafe, Executor, PgPool};

use super::{TestStore, store_with};

/// What a query returns, a text for each row.
async fn rows(pool: &PgPool, sql: &str) -> Vec<String> {
    let rows = format!("select row_of::text from ({sql}) as row_of");
    sqlx::query_scalar(AssertSqlSafe(rows)).fetch_all(pool).await.unwrap_or_else(|error| panic!("{error}: {sql}"))
}

/// The plan for any parameters, as the store's hot connections make it.
async fn generic_plan(pool: &PgPool, parameters: &str, sql: &str) -> String {
    let mut connection = pool.acquire().await.expect("connected");
    let prepare = format!(
        "set plan_cache_mode = force_generic_plan; set enable_seqscan = off; deallocate all; prepare it{parameters} as {sql}"
    );
    connection.execute(sqlx::raw_sql(AssertSqlSafe(prepare))).await.expect("prepared");
    let nulls = vec!["null"; parameters.matches(',').count() + 1].join(", ");
    let explain = sqlx::raw_sql(AssertSqlSafe(format!("explain (costs off) execute it ({nulls})")));
    let lines = connection.fetch_all(explain).await.expect("explained");
    lines.iter().map(|line| sqlx::Row::get::<String, _>(line, 0)).collect::<Vec<_>>().join("\n")
}

/// A catalog in which a category is mapped in all regions, in none, or otherwise in some.
const CATALOG: &str = "
    insert into platform_category (slug, display_name, gcid, imported_locale, created_at, updated_at)
    values ('Zoo', 'Z', 'gcid:zoo', null, now(), now()), ('bar', 'B', null, null, now(), now()),
           ('cafe', 'C', 'gcid:cafe', 'en-US', now(), now()), ('deli', 'D', 'gcid:deli', null, now(), now());
    insert into regional_mapping (slug, region_code, gcid)
    values ('bar', 'DE', 'gcid:kneipe'), ('cafe', 'DE', null), ('deli', 'DE', 'gcid:feinkost'), ('deli', 'FR', 'gcid:traiteur');";

#[tokio::test]
async fn a_category_maps_in_a_region_to_what_the_region_says_or_else_to_what_all_do() {
    let store = store_with(&[]).await;
    store.execute(CATALOG).await;
    for (region, mappings) in [
        ("'US'", ["(Zoo,gcid:zoo)", "(bar,)", "(cafe,gcid:cafe)", "(deli,gcid:deli)"]),
        ("'DE'", ["(Zoo,gcid:zoo)", "(bar,gcid:kneipe)", "(cafe,)", "(deli,gcid:feinkost)"]),
        ("'FR'", ["(Zoo,gcid:zoo)", "(bar,)", "(cafe,gcid:cafe)", "(deli,gcid:traiteur)"]),
        ("null", ["(Zoo,gcid:zoo)", "(bar,)", "(cafe,gcid:cafe)", "(deli,gcid:deli)"]),
    ] {
        // In the order of the table's own collation, whatever that of the database is.
        let sql = format!("select slug, gcid from categories_in_region({region}) order by slug");
        assert_eq!(rows(&store.pool, &sql).await, mappings, "{region}");
    }
    let rest = "select slug, gcid from (select slug, display_name, gcid, imported_locale, created_at, updated_at from platform_category
                 except select slug, display_name, gcid, imported_locale, created_at, updated_at from categories_in_region('US')) as other";
    assert_eq!(rows(&store.pool, rest).await, Vec::<String>::new(), "the other columns are the table's");
}

#[tokio::test]
async fn the_planner_reads_single_categories_of_a_region_by_their_key() {
    let store = store_with(&[]).await;
    store.execute(CATALOG).await;
    let in_a_region = "select slug, gcid from categories_in_region($1) where slug = $2";
    let of_a_tenant = "select category.slug, category.gcid
           from tenant
           join tenant_category chosen on chosen.tenant_id = tenant.id
          cross join lateral (select slug, gcid from categories_in_region(tenant.region_code) where slug = chosen.slug limit 1) as category
          where tenant.id = $1";
    for (parameters, sql) in [("(text, text)", in_a_region), ("(text)", of_a_tenant)] {
        let plan = generic_plan(&store.pool, parameters, sql).await;
        assert!(!plan.contains("Function Scan") && !plan.contains("Seq Scan"), "{plan}");
        let keys = ["Index Cond: (slug = ", "using platform_category_pkey", "using regional_mapping_pkey"];
        assert!(keys.iter().all(|key| plan.contains(key)), "{plan}");
    }
}

async fn queue(store: &TestStore, tenant: &str, state: &str, rest: &str) {
    let insert = format!(
        "insert into run (id, tenant_id, strategy, dry_run, state, max_attempts, caller, created_at, lease_expires_at, bulk, fairness_key, fairness_rank,
                          next_attempt_at)
         values (run_id_at(now(), 1), '{tenant}', 'platform_to_gbp', false, '{state}', 5, 'tester', now(),
                 case when '{state}' = 'running' then now() end, {rest})"
    );
    sqlx::raw_sql(AssertSqlSafe(insert)).execute(&store.pool).await.expect("queued");
}

/// The first rank of interactive and of bulk runs, the last one of the key `chain` of either, and the next rank of `chain`, of another
/// key and of none.
async fn ranks(store: &TestStore) -> String {
    let ranks = "select (select rank from first_ready_rank(false) as rank), (select rank from first_ready_rank(true) as rank),
                        (select rank from last_ready_rank('chain', false) as rank), (select rank from last_ready_rank('chain', true) as rank),
                        (select rank from next_interactive_rank('chain') as rank), (select rank from next_interactive_rank('other') as rank),
                        (select rank from next_interactive_rank(null) as rank)";
    rows(&store.pool, ranks).await.concat()
}

#[tokio::test]
async fn a_rank_follows_the_round_that_is_claimed_and_the_runs_of_its_key() {
    let store = store_with(&[]).await;
    assert_eq!(ranks(&store).await, "(,,,,1,1,1)", "nothing is queued");
    // Neither what runs nor what waits for its time is in the ready queue.
    queue(&store, "a", "running", "false, 'chain', 70, null").await;
    queue(&store, "b", "queued", "false, 'chain', 80, now() + interval '1 hour'").await;
    assert_eq!(ranks(&store).await, "(,,,,1,1,1)", "nothing is ready");
    queue(&store, "c", "queued", "true, 'chain', 40, null").await;
    queue(&store, "d", "queued", "true, 'batch', 30, null").await;
    assert_eq!(ranks(&store).await, "(,30,,40,1,1,1)", "bulk runs are apart");
    queue(&store, "e", "queued", "false, 'chain', 7, null").await;
    queue(&store, "f", "queued", "false, 'chain', 9, null").await;
    queue(&store, "g", "queued", "false, null, 5, null").await;
    assert_eq!(ranks(&store).await, "(5,30,9,40,10,6,6)", "after the others of the key, else in the next round");
}

#[tokio::test]
async fn the_planner_reads_a_rank_from_an_index() {
    let store = store_with(&[]).await;
    for (parameters, sql, index) in [
        ("(boolean)", "select rank from first_ready_rank($1) as rank", "using run_ready on run"),
        (
            "(text, boolean)",
            "select rank from last_ready_rank($1, $2) as rank",
            "using run_ready_by_fairness_key on run",
        ),
        ("(text)", "select rank from next_interactive_rank($1) as rank", "using run_ready_by_fairness_key on run"),
        (
            "(text)",
            "select (select rank from next_interactive_rank(tenant.organization_id) as rank) from tenant where id = $1",
            "using run_ready on run",
        ),
    ] {
        let plan = generic_plan(&store.pool, parameters, sql).await;
        assert!(!plan.contains("Function Scan") && !plan.contains("Sort") && !plan.contains("Seq Scan"), "{plan}");
        assert!(plan.contains(index), "{plan}");
    }
}

#[tokio::test]
async fn each_statement_that_ends_runs_adds_one_count_for_all_and_one_for_each_organization() {
    let store = store_with(&[]).await;
    let end = "insert into run_history (id, tenant_id, organization_id, strategy, dry_run, state, revision, fencing_token, uncounted_attempts, max_attempts,
                                        cancel_requested, plan, attempts, written, created, updated, deleted, unmapped, reason, error, caller, created_at,
                                        started_at, ended_at)
               select run_id_at(now(), n), n, organization, 'platform_to_gbp', dry_run, state, 3, 1, 0, 5, false, plan::jsonb, '[]', '[]', 0, 0, 0, 0,
                      reason, '{}', 'x', now(), at - interval '1 ms', at
                 from (values (1, 'chain', false, 'succeeded', '{\"changes\": [1]}', null, '2025-01-01 10:20:30Z'::timestamptz),
                              (2, 'chain', false, 'failed', null, 'GUARD', '2025-01-01 10:20:31Z'),
                              (3, 'other', true, 'succeeded', '{\"changes\": [1]}', null, '2025-01-01 10:20:32Z'),
                              (4, null, false, 'skipped', null, 'COOLDOWN', '2025-01-01 10:20:33Z'),
                              (5, null, false, 'cancelled', null, null, '2025-01-01 10:21:00Z'))
                      as ended (n, organization, dry_run, state, plan, reason, at)";
    store.prepare_history(None).await.expect("prepared");
    store.execute("set time zone 'Asia/Kolkata'").await;
    sqlx::raw_sql(AssertSqlSafe(format!("{end}; {end} where false"))).execute(&store.pool).await.expect("ended");
    let deltas = "select scope, start_at at time zone 'UTC', succeeded, failed, skipped, cancelled, dry_runs, out_of_sync, duration_buckets, failure_reasons
                    from rollup_delta
                   order by scope, start_at";
    assert_eq!(
        rows(&store.pool, deltas).await,
        [
            "(\"\",\"2025-01-01 10:20:00\",1,1,1,0,1,2,\"{0,0}\",{GUARD})",
            "(\"\",\"2025-01-01 10:21:00\",0,0,0,1,0,0,{},{})",
            "(chain,\"2025-01-01 10:00:00\",1,1,0,0,0,1,\"{0,0}\",{GUARD})",
            "(other,\"2025-01-01 10:00:00\",0,0,0,0,1,1,{},{})",
        ]
    );
}
