//! Counts of ended runs: added by the statement that ends them, and summed up by and by.

use crate::{
    error::Error,
    store::{handle::Store, statement::StatementTime},
};

/// Counts what `moved` brought into the history: a row for all of it, by the minute, and one for each organization, by the hour.
macro_rules! insert_rollup_delta {
    () => {
        "
            insert into rollup_delta (scope, start_at, succeeded, failed, skipped, cancelled, dry_runs, out_of_sync, duration_buckets, failure_reasons)
            select coalesce(organization_id, ''), coalesce(minute, hour),
                   count(*) filter (where not dry_run and state = 'succeeded'),
                   count(*) filter (where not dry_run and state = 'failed'),
                   count(*) filter (where not dry_run and state = 'skipped'),
                   count(*) filter (where not dry_run and state = 'cancelled'),
                   count(*) filter (where dry_run),
                   count(*) filter (where out_of_sync),
                   coalesce(array_agg(duration_bucket(ended_at - started_at))
                                filter (where not dry_run and state in ('succeeded', 'failed')), '{}'),
                   coalesce(array_agg(reason) filter (where not dry_run and state = 'failed'), '{}')
              from (select organization_id, dry_run, state, reason, out_of_sync, started_at, ended_at,
                           date_trunc('minute', ended_at, 'UTC') as minute, date_trunc('hour', ended_at, 'UTC') as hour
                      from moved) as moved
             group by grouping sets ((minute), (hour, organization_id))
            having grouping(organization_id) = 1 or organization_id is not null "
    };
}
pub(in crate::store) use insert_rollup_delta;

/// The columns of `moved` that [`insert_rollup_delta`] reads, and the statements around it.
macro_rules! rollup_source_columns {
    () => {
        "id, tenant_id, organization_id, strategy, dry_run, state, reason, out_of_sync, started_at, ended_at"
    };
}
pub(in crate::store) use rollup_source_columns;

impl Store {
    /// Sums up at most `limit` of the counts that were added and are not summed up yet. Gives how many.
    ///
    /// # Errors
    /// The database's.
    pub async fn compact_rollup_deltas(&self, limit: i64) -> Result<i64, Error> {
        Ok(sqlx::query_scalar(
            "with taken as (
                 delete from rollup_delta
                  where ctid = any (array(select ctid from rollup_delta limit $1 for update skip locked))
                 returning scope, start_at, succeeded, failed, skipped, cancelled, dry_runs, out_of_sync, duration_buckets, failure_reasons
             ), grains (grain) as (
                 values ('minute'), ('ten_minutes'), ('hour'), ('day'), ('week')
             ), duration_histograms as (
                 select scope, grain, start_at, jsonb_object_agg(bucket, count) as duration_histogram
                   from (select scope, grain, rollup_start(grain, start_at) as start_at, bucket, sum(count) as count
                           from (select scope, start_at, bucket, count(*)
                                   from taken
                                  cross join unnest(duration_buckets) as bucket
                                  group by scope, start_at, bucket) as buckets
                           join grains on scope = '' or grain not in ('minute', 'ten_minutes')
                          group by scope, grain, rollup_start(grain, start_at), bucket) as buckets
                  group by scope, grain, start_at
             ), reason_counts as (
                 select scope, grain, start_at, jsonb_object_agg(reason, count) as failure_reason_counts
                   from (select scope, grain, rollup_start(grain, start_at) as start_at, reason, count(*)
                           from taken
                          cross join unnest(failure_reasons) as reason
                           join grains on scope = '' or grain not in ('minute', 'ten_minutes')
                          group by scope, grain, rollup_start(grain, start_at), reason) as failure_reason_counts
                  group by scope, grain, start_at
             ), sums as (
                 select scope, grain, rollup_start(grain, start_at) as start_at, sum(succeeded) as succeeded, sum(failed) as failed,
                        sum(skipped) as skipped, sum(cancelled) as cancelled, sum(dry_runs) as dry_runs, sum(out_of_sync) as out_of_sync
                   from taken
                   join grains on scope = '' or grain not in ('minute', 'ten_minutes')
                  group by scope, grain, rollup_start(grain, start_at)
             ), folded as (
                 insert into rollup as old (scope, grain, start_at, succeeded, failed, skipped, cancelled, dry_runs, out_of_sync,
                                            duration_histogram, failure_reason_counts)
                 select scope, grain, start_at, succeeded, failed, skipped, cancelled, dry_runs, out_of_sync,
                        coalesce(duration_histogram, '{}'), coalesce(failure_reason_counts, '{}')
                   from sums
                   left join duration_histograms using (scope, grain, start_at)
                   left join reason_counts using (scope, grain, start_at)
                  -- In one order for all.
                  order by scope, grain, start_at
                 on conflict (scope, grain, start_at) do update
                    set succeeded = old.succeeded + excluded.succeeded, failed = old.failed + excluded.failed,
                        skipped = old.skipped + excluded.skipped, cancelled = old.cancelled + excluded.cancelled,
                        dry_runs = old.dry_runs + excluded.dry_runs, out_of_sync = old.out_of_sync + excluded.out_of_sync,
                        duration_histogram = add_counts(old.duration_histogram, excluded.duration_histogram),
                        failure_reason_counts = add_counts(old.failure_reason_counts, excluded.failure_reason_counts)
             )
             select count(*) from taken",
        )
        .bind(limit)
        .fetch_one(&self.pool)
        .await?)
    }

    /// Forgets sums that no window reaches any more: minutes and ten minutes after 4 days, others after 92, at most `limit` of each grain.
    /// Gives how many.
    ///
    /// # Errors
    /// The database's.
    pub async fn delete_expired_rollups(&self, now: StatementTime, limit: u64) -> Result<u64, Error> {
        let done = sqlx::query(
            "delete from rollup
              where ctid = any (array(select old.ctid
                                        from (values ('minute', interval '4 days'), ('ten_minutes', '4 days'), ('hour', '92 days'),
                                                     ('day', '92 days'), ('week', '92 days')) as kept (grain, for_days)
                                       cross join lateral (select ctid
                                                             from rollup
                                                            where grain = kept.grain
                                                              and start_at < coalesce($1, now()) - for_days
                                                            order by start_at
                                                            limit $2) as old))",
        )
        .bind(now)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .execute(&self.pool)
        .await?;
        let of_tenants = sqlx::query(
            "delete from tenant_rollup
              where ctid = any (array(select ctid from tenant_rollup
                                       where ended_on < ((coalesce($1, now()) - interval '92 days') at time zone 'UTC')::date
                                       limit $2))",
        )
        .bind(now)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() + of_tenants.rows_affected())
    }
}
