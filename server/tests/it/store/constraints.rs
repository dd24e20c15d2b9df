//! The tables refuse by themselves what no statement of the store would write.

use sqlx::{AssertSqlSafe, PgPool};

use super::store_with;

/// Tries to make a valid, queued, real run what `change` says, and gives the constraint that refused it.
async fn refused_by(pool: &PgPool, change: &str) -> Option<String> {
    let mut transaction = pool.begin().await.expect("begun");
    sqlx::query(
        "insert into run (id, tenant_id, strategy, dry_run, state, max_attempts, next_attempt_at, caller, created_at)
         values (gen_random_uuid(), 'a', 'platform_to_gbp', false, 'queued', 5, now(), 'tester', now())",
    )
    .execute(&mut *transaction)
    .await
    .expect("valid as it is");
    let changed = sqlx::raw_sql(AssertSqlSafe(format!("update run set {change}"))).execute(&mut *transaction).await;
    changed.err().map(|error| {
        let database = error.as_database_error().unwrap_or_else(|| panic!("{change}: {error}"));
        database.constraint().unwrap_or_else(|| panic!("{change}: {error}")).to_owned()
    })
}

#[tokio::test]
async fn every_check_of_a_live_run_refuses_what_it_should() {
    let store = store_with(&[]).await;
    for (constraint, changes) in [
        ("run_strategy_is_known", vec!["strategy = 'both'"]),
        ("run_state_is_known", vec!["state = 'paused'", "state = 'succeeded'", "state = 'cancelled'"]),
        ("run_max_attempts_is_positive", vec!["max_attempts = 0"]),
        ("run_lease_while_running", vec!["state = 'running'", "lease_expires_at = now()"]),
        (
            "run_uncounted_attempts_within_claims",
            vec!["uncounted_attempts = 1", "fencing_token = 3, uncounted_attempts = -1"],
        ),
        ("run_dry_writes_nothing", vec!["dry_run = true, written = '[1]'", "dry_run = true, write_intent = '{}'"]),
    ] {
        for change in changes {
            assert_eq!(refused_by(&store.pool, change).await.as_deref(), Some(constraint), "{change}");
        }
    }
    for valid in [
        "state = 'running', lease_expires_at = now(), fencing_token = 1",
        "fencing_token = 3, uncounted_attempts = 3",
        "written = '[1]', write_intent = '{}'",
        "dry_run = true, plan = '{\"changes\": []}'",
    ] {
        assert_eq!(refused_by(&store.pool, valid).await, None, "{valid}");
    }
}

#[tokio::test]
async fn every_check_of_an_ended_run_refuses_what_it_should() {
    let store = store_with(&[]).await;
    store.prepare_history(None).await.expect("prepared");
    for (constraint, values) in [
        ("run_history_strategy_is_known", "'both', false, 'succeeded', 1, 0, '[]', null, null, null"),
        ("run_history_state_is_known", "'platform_to_gbp', false, 'running', 1, 0, '[]', null, null, null"),
        ("run_history_failed_has_reason", "'platform_to_gbp', false, 'failed', 1, 0, '[]', null, null, null"),
        ("run_history_failed_has_reason", "'platform_to_gbp', false, 'failed', 1, 0, '[]', null, 'X', null"),
        ("run_history_failed_has_reason", "'platform_to_gbp', false, 'failed', 1, 0, '[]', null, null, '{}'"),
        ("run_history_skipped_has_reason", "'platform_to_gbp', false, 'skipped', 1, 0, '[]', null, null, null"),
        (
            "run_history_uncounted_attempts_within_claims",
            "'platform_to_gbp', false, 'succeeded', 1, 2, '[]', null, null, null",
        ),
        ("run_history_dry_writes_nothing", "'platform_to_gbp', true, 'succeeded', 1, 0, '[1]', null, null, null"),
        ("run_history_dry_writes_nothing", "'platform_to_gbp', true, 'succeeded', 1, 0, '[]', '{}', null, null"),
        ("run_history_unknown_write_failed", "'platform_to_gbp', false, 'succeeded', 1, 1, '[]', '{}', null, null"),
        ("run_history_unknown_write_failed", "'platform_to_gbp', false, 'cancelled', 1, 1, '[]', '{}', null, null"),
        ("run_history_written_has_effect", "'platform_to_gbp', false, 'cancelled', 1, 1, '[1]', null, null, null"),
        ("run_history_written_has_effect", "'platform_to_gbp', false, 'skipped', 1, 1, '[1]', null, 'COOLDOWN', null"),
        ("", "'platform_to_gbp', false, 'succeeded', 1, 1, '[1]', null, null, null"),
        ("", "'platform_to_gbp', false, 'failed', 1, 1, '[1]', '{}', 'X', '{}'"),
        ("", "'platform_to_gbp', true, 'cancelled', 0, 0, '[]', null, null, null"),
        ("", "'platform_to_gbp', false, 'skipped', 1, 0, '[]', null, 'COOLDOWN', null"),
        ("", "'platform_to_gbp', false, 'failed', 1, 0, '[]', null, 'X', '{}'"),
    ] {
        let insert = format!(
            "insert into run_history (id, tenant_id, revision, max_attempts, cancel_requested, attempts, created, updated, deleted, unmapped,
                                      caller, created_at, ended_at,
                                      strategy, dry_run, state, fencing_token, uncounted_attempts, written, write_intent, reason, error)
             values (run_id_floor(now()), 'a', 2, 5, false, '[]', 0, 0, 0, 0, 'tester', now(), now(), {values})"
        );
        let mut transaction = store.pool.begin().await.expect("begun");
        let inserted = sqlx::raw_sql(AssertSqlSafe(insert)).execute(&mut *transaction).await;
        let refused_by = inserted.err().map(|error| {
            error.as_database_error().and_then(|error| error.constraint()).unwrap_or("no constraint").to_owned()
        });
        assert_eq!(refused_by.unwrap_or_default(), constraint, "{values}");
    }
}

#[tokio::test]
async fn every_check_of_the_other_tables_refuses_what_it_should() {
    let store = store_with(&["a", "b"]).await;
    store
        .execute(
            "insert into platform_category (slug, display_name, gcid, created_at, updated_at)
             values ('cafe', 'Café', 'gcid:cafe', now(), now()), ('bar', 'Bar', null, now(), now());
             insert into tenant_category values ('a', 0, 'cafe');
             insert into flag values ('FF_X', 'off', 0, '{}', '{}', '{}', '{}', 1, now());",
        )
        .await;
    for (constraint, sql) in [
        ("platform_category_gcid_is_canonical", "update platform_category set gcid = 'gcid:grocery-store'"),
        ("platform_category_gcid_is_canonical", "update platform_category set gcid = 'categories/gcid:cafe'"),
        ("platform_category_gcid_is_canonical", "update platform_category set gcid = E'gcid:cafe\\n'"),
        ("tenant_location_has_an_account", "update tenant set gbp_account = null where id = 'a'"),
        ("tenant_location_has_an_account", "update tenant set gbp_location = null where id = 'a'"),
        ("tenant_location_is_unique", "update tenant set gbp_location = 'one'"),
        ("flag_pkey", "insert into flag values ('FF_X', 'on', 0, '{}', '{}', '{}', '{}', 1, now())"),
        ("flag_state_is_known", "update flag set state = 'maybe'"),
        ("flag_rollout_basis_points_in_range", "update flag set rollout_basis_points = 10001"),
        ("flag_rollout_basis_points_in_range", "update flag set rollout_basis_points = -1"),
        ("flag_revision_is_positive", "update flag set revision = 0"),
        ("tenant_category_once", "insert into tenant_category values ('a', 1, 'cafe')"),
        ("tenant_category_pkey", "insert into tenant_category values ('a', 0, 'bar')"),
        ("tenant_category_is_known", "insert into tenant_category values ('a', 1, 'pub')"),
        ("tenant_category_is_known", "delete from platform_category where slug = 'cafe'"),
        ("tenant_category_position_is_not_negative", "insert into tenant_category values ('a', -1, 'bar')"),
        ("tenant_category_tenant_exists", "insert into tenant_category values ('c', 0, 'bar')"),
    ] {
        let error = sqlx::raw_sql(sql).execute(&store.pool).await.expect_err(sql);
        assert_eq!(error.as_database_error().and_then(|e| e.constraint()), Some(constraint), "{sql}");
    }
}

#[tokio::test]
async fn d12_a_tenant_has_one_live_run_whatever_its_kind() {
    let store = store_with(&["a"]).await;
    store.accepted(0, "a").await;
    for (strategy, dry_run) in [("platform_to_gbp", true), ("gbp_to_platform", false)] {
        let second = sqlx::query(
            "insert into run (id, tenant_id, strategy, dry_run, state, max_attempts, next_attempt_at, caller, created_at)
             values (gen_random_uuid(), 'a', $1, $2, 'queued', 5, now(), 'tester', now())",
        );
        let error = second.bind(strategy).bind(dry_run).execute(&store.pool).await.expect_err("refused");
        assert_eq!(error.as_database_error().and_then(|e| e.constraint()), Some("run_one_live_a_tenant"));
    }
}
