//! A history for the benchmark of its readers, which is made much faster than any runner could.

use sqlx::PgPool;

use super::rollup::counted;
use crate::domain::RunId;

/// Makes `runs` ended runs on the day that was `days_ago`, spread over it, of 10,000 tenants, half of them in 200 organizations; one in 10
/// is dry, in 20 of the other strategy, in 30 out of sync, in 50 failed.
///
/// # Errors
/// The database's.
pub async fn fill_history(pool: &PgPool, days_ago: i32, runs: i32) -> Result<(), sqlx::Error> {
    sqlx::query("select run_history_day((now() at time zone 'UTC')::date - $1::integer)")
        .bind(days_ago)
        .execute(pool)
        .await?;
    sqlx::query(
        "insert into run_history (id, tenant_id, organization_id, strategy, dry_run, state, revision, attempt, handed_back, max_attempts,
                                  cancel_requested, plan, attempts, written, created, updated, deleted, skipped, reason, error,
                                  caller, request_id, created_at, started_at, attempted_at, ended_at)
         select overlay(gen_random_uuid()::text placing left(run_id_floor(at)::text, 14) || '7' from 1)::uuid,
                'tenant-' || tenant, case when tenant % 2 = 0 then 'org-' || tenant % 400 end,
                case when n % 20 = 7 then 'gbp_to_platform' else 'platform_to_gbp' end, n % 10 = 3, state, 3, 1, 0, 5, false,
                jsonb_build_object('changes', case when n % 30 = 11 then jsonb_build_array(n) else '[]' end),
                '[]', '[]', 0, 0, 0, 0, reason, case when reason is not null then jsonb_build_object(
                    'reason', reason, 'message', 'as it happens', 'attempt', 1, 'metadata', '{}'::jsonb, 'upstream_details', null) end,
                'caller-' || n % 20, gen_random_uuid()::text, at, at, at, at + interval '1 ms' * (50 + n % 1000)
           from (select n, (n::bigint * 7919 + $1::integer) % 10000 as tenant,
                        date_trunc('day', now(), 'UTC') - interval '1 day' * $1::integer + interval '1 day' * n / ($2::integer + 1) as at,
                        case when n % 50 = 9 then 'failed' when n % 50 = 19 then 'skipped' when n % 100 = 29 then 'cancelled'
                             else 'succeeded' end as state,
                        case when n % 50 = 9 then (array['UPSTREAM_UNAVAILABLE', 'EMPTY_SOURCE', 'QUOTA_EXHAUSTED'])[1 + n % 3]
                             when n % 50 = 19 then 'COOLDOWN' end as reason
                   from generate_series(1, $2::integer) n) as runs",
    )
    .bind(days_ago)
    .bind(runs)
    .execute(pool)
    .await?;
    Ok(())
}

/// Counts what [`fill_history`] made on a day, as ends would have.
///
/// # Errors
/// The database's.
pub async fn count_history(pool: &PgPool, days_ago: i32) -> Result<(), sqlx::Error> {
    sqlx::query(concat!(
        "with moved as (
             select * from run_history
              where id >= run_id_floor(date_trunc('day', now(), 'UTC') - interval '1 day' * $1::integer)
                and id < run_id_floor(date_trunc('day', now(), 'UTC') - interval '1 day' * ($1::integer - 1))
         )",
        counted!()
    ))
    .bind(days_ago)
    .execute(pool)
    .await?;
    Ok(())
}

/// The id of the run that `runs` newer ones are before in a list, or the oldest one's.
///
/// # Errors
/// The database's.
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
