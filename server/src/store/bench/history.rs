//! A history for the benchmark of its readers, which is made much faster than any runner could.

use sqlx::{AssertSqlSafe, PgPool};

use crate::domain::RunId;

/// Whose runs a history has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// Each of 10,000 tenants about as many.
    Even,
    /// One of them, `tenant-0` of `org-0`, half of all.
    Skewed,
}

/// Makes `runs` ended runs on the day that was `days_ago`, which has none yet, spread over it, of 10,000 tenants, half of them in 200
/// organizations; one in 10 is dry, in 20 of the other strategy, in 30 out of sync, in 50 failed; every third is one of 100 batches.
///
/// # Errors
/// Those of the statements.
pub async fn fill_history(pool: &PgPool, days_ago: i32, runs: i32, spread: Spread) -> Result<(), sqlx::Error> {
    // Not every second one by its number, which says what else it is.
    let one_tenant = match spread {
        Spread::Even => "false",
        Spread::Skewed => "hashint8(n) % 2 = 0",
    };
    let (table, first, next): (String, RunId, RunId) = sqlx::query_as(
        "select 'run_history_' || to_char(day, 'YYYY_MM_DD'), run_id_floor(day at time zone 'UTC'),
                run_id_floor((day + interval '1 day') at time zone 'UTC')
           from (select date_trunc('day', now() at time zone 'UTC') - interval '1 day' * $1::integer as day) days",
    )
    .bind(days_ago)
    .fetch_one(pool)
    .await?;
    // The indexes are made when all rows are there, which takes a third of the time.
    let fill = format!(
        "create table {table} (like run_history including all excluding indexes);
         insert into {table} (id, tenant_id, organization_id, batch_id, strategy, dry_run, state, revision, fencing_token, uncounted_attempts, max_attempts,
                              cancel_requested, plan, attempts, written, created, updated, deleted, unmapped, reason, error,
                              caller, request_id, created_at, started_at, attempt_started_at, ended_at)
         select overlay(gen_random_uuid()::text placing left(run_id_floor(at)::text, 14) || '7' from 1)::uuid,
                'tenant-' || tenant, case when tenant % 2 = 0 then 'org-' || tenant % 400 end,
                case when n % 3 = 2 then lpad(to_hex((n + {days_ago}) % 100), 32, '0')::uuid end,
                case when n % 20 = 7 then 'gbp_to_platform' else 'platform_to_gbp' end, n % 10 = 3, state, 3, 1, 0, 5, false,
                jsonb_build_object('changes', case when n % 30 = 11 then jsonb_build_array(n) else '[]' end),
                '[]', '[]', 0, 0, 0, 0, reason, case when reason is not null then jsonb_build_object(
                    'reason', reason, 'message', 'as it happens', 'attempt', 1, 'metadata', '{{}}'::jsonb, 'upstream_details', null) end,
                'caller-' || n % 20, 'request-' || n, at, at, at, at + interval '1 ms' * (50 + n % 1000)
           from (select n, case when {one_tenant} then 0
                             else (hashint8(n::bigint * 1000 + {days_ago}) & 2147483647) % 10000 end as tenant,
                        date_trunc('day', now(), 'UTC') - interval '1 day' * {days_ago} + interval '1 day' * n / ({runs} + 1) as at,
                        case when n % 50 = 9 then 'failed' when n % 50 = 19 then 'skipped' when n % 100 = 29 then 'cancelled'
                             else 'succeeded' end as state,
                        case when n % 50 = 9 then (array['UPSTREAM_UNAVAILABLE', 'EMPTY_SOURCE', 'QUOTA_EXHAUSTED'])[1 + n % 3]
                             when n % 50 = 19 then 'COOLDOWN' end as reason
                   from generate_series(1, {runs}) n) as runs;
         select configure_run_history_partition('{table}', '-infinity');
         alter table run_history attach partition {table} for values from ('{first}') to ('{next}')"
    );
    sqlx::raw_sql(AssertSqlSafe(fill)).execute(pool).await?;
    // As PostgreSQL does by itself, long before a day is over.
    sqlx::raw_sql(AssertSqlSafe(format!("vacuum (analyze) {table}"))).execute(pool).await?;
    Ok(())
}

/// Counts what [`fill_history`] made on a day, as ends would have: it fills a partition that is not attached yet, so
/// the trigger does not fire.
///
/// # Errors
/// Those of the statements.
pub async fn count_history(pool: &PgPool, days_ago: i32) -> Result<(), sqlx::Error> {
    // The trigger function of `run_history`, on a table with the columns that it reads.
    let count = format!(
        "create temporary table counted (organization_id text, dry_run boolean, state text, reason text, out_of_sync boolean,
                                         started_at timestamptz, ended_at timestamptz);
         create trigger count after insert on counted
             referencing new table as ended for each statement execute function add_rollup_delta();
         insert into counted (organization_id, dry_run, state, reason, out_of_sync, started_at, ended_at)
         select organization_id, dry_run, state, reason, out_of_sync, started_at, ended_at from run_history
          where id >= run_id_floor(date_trunc('day', now(), 'UTC') - interval '1 day' * {days_ago})
            and id < run_id_floor(date_trunc('day', now(), 'UTC') - interval '1 day' * ({days_ago} - 1));
         drop table counted"
    );
    sqlx::raw_sql(AssertSqlSafe(count)).execute(pool).await.map(drop)
}

/// Ends one run more, now, as a statement of its own.
///
/// # Errors
/// Those of the statements.
pub async fn end_one(pool: &PgPool, tenant: i32, fails: bool) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into run_history (id, tenant_id, organization_id, strategy, dry_run, state, revision, fencing_token, uncounted_attempts,
                                  max_attempts, cancel_requested, attempts, written, created, updated, deleted, unmapped, reason, error,
                                  caller, created_at, started_at, attempt_started_at, ended_at)
         select overlay(gen_random_uuid()::text placing left(run_id_floor(now())::text, 14) || '7' from 1)::uuid, 'tenant-' || $1::integer,
                'org-' || $1 % 200 * 2, 'platform_to_gbp', false, case when $2 then 'failed' else 'succeeded' end, 3, 1, 0, 5, false, '[]', '[]',
                0, 0, 0, 0, case when $2 then 'EMPTY_SOURCE' end,
                case when $2 then jsonb_build_object('reason', 'EMPTY_SOURCE', 'message', 'as it happens', 'attempt', 1,
                                                     'metadata', '{}'::jsonb, 'upstream_details', null) end,
                'caller-1', now(), now(), now(), now()",
    )
    .bind(tenant)
    .bind(fails)
    .execute(pool)
    .await?;
    Ok(())
}

/// A tenant, and an organization, of which a real run failed on the last whole day.
///
/// # Errors
/// Those of the statements.
pub async fn who_failed(pool: &PgPool) -> Result<(String, String), sqlx::Error> {
    sqlx::query_as(
        "select tenant_id, organization_id from run_history
          where state = 'failed' and not dry_run and organization_id is not null
          order by id desc
          limit 1",
    )
    .fetch_one(pool)
    .await
}

/// The id of the run that `runs` newer ones are before in a list, or the oldest one's.
///
/// # Errors
/// Those of the statements.
pub async fn row_after(pool: &PgPool, runs: i64) -> Result<RunId, sqlx::Error> {
    sqlx::query_scalar(
        "select id from run_history
          order by id desc
         offset least($1, (select count(*) from run_history) - 1)
          limit 1",
    )
    .bind(runs)
    .fetch_one(pool)
    .await
}
