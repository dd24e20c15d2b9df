//! Counts of ended runs: added by the statement that ends them, and summed up by and by.

use super::{Now, Store};
use crate::error::Error;

/// Counts what `moved` brought into the history: a row for all of it, by the minute, and one for each organization, by the hour.
macro_rules! counted {
    () => {
        "
            insert into rollup_delta (scope, begin_at, succeeded, failed, skipped, cancelled, dry, out_of_sync, durations, reasons)
            select coalesce(organization_id, ''), coalesce(minute, hour),
                   count(*) filter (where not dry_run and state = 'succeeded'),
                   count(*) filter (where not dry_run and state = 'failed'),
                   count(*) filter (where not dry_run and state = 'skipped'),
                   count(*) filter (where not dry_run and state = 'cancelled'),
                   count(*) filter (where dry_run),
                   count(*) filter (where found_differences),
                   coalesce(array_agg(duration_bin(ended_at - started_at))
                                filter (where not dry_run and state in ('succeeded', 'failed')), '{}'),
                   coalesce(array_agg(reason) filter (where not dry_run and state = 'failed'), '{}')
              from (select organization_id, dry_run, state, reason, found_differences, started_at, ended_at,
                           date_trunc('minute', ended_at, 'UTC') as minute, date_trunc('hour', ended_at, 'UTC') as hour
                      from moved) as moved
             group by grouping sets ((minute), (hour, organization_id))
            having grouping(organization_id) = 1 or organization_id is not null "
    };
}
pub(super) use counted;

/// The columns of `moved` that [`counted`] reads, and the statements around it.
macro_rules! counted_columns {
    () => {
        "id, tenant_id, organization_id, strategy, dry_run, state, reason, found_differences, started_at, ended_at"
    };
}
pub(super) use counted_columns;

impl Store {
    /// Sums up at most `limit` of the counts that were added and are not summed up yet. Gives how many.
    ///
    /// # Errors
    /// The database's.
    pub async fn fold_rollups(&self, limit: i64) -> Result<i64, Error> {
        Ok(sqlx::query_scalar(
            "with taken as (
                 delete from rollup_delta
                  where ctid = any (array(select ctid from rollup_delta limit $1 for update skip locked))
                 returning scope, begin_at, succeeded, failed, skipped, cancelled, dry, out_of_sync, durations, reasons
             ), grains (grain) as (
                 values ('minute'), ('ten_minutes'), ('hour'), ('day'), ('week')
             ), duration_counts as (
                 select scope, grain, begin_at, jsonb_object_agg(bin, count) as durations
                   from (select scope, grain, rollup_begin(grain, begin_at) as begin_at, bin, sum(count) as count
                           from (select scope, begin_at, bin, count(*)
                                   from taken
                                  cross join unnest(durations) as bin
                                  group by scope, begin_at, bin) as bins
                           join grains on scope = '' or grain not in ('minute', 'ten_minutes')
                          group by scope, grain, rollup_begin(grain, begin_at), bin) as bins
                  group by scope, grain, begin_at
             ), reason_counts as (
                 select scope, grain, begin_at, jsonb_object_agg(reason, count) as reasons
                   from (select scope, grain, rollup_begin(grain, begin_at) as begin_at, reason, count(*)
                           from taken
                          cross join unnest(reasons) as reason
                           join grains on scope = '' or grain not in ('minute', 'ten_minutes')
                          group by scope, grain, rollup_begin(grain, begin_at), reason) as reasons
                  group by scope, grain, begin_at
             ), sums as (
                 select scope, grain, rollup_begin(grain, begin_at) as begin_at, sum(succeeded) as succeeded, sum(failed) as failed,
                        sum(skipped) as skipped, sum(cancelled) as cancelled, sum(dry) as dry, sum(out_of_sync) as out_of_sync
                   from taken
                   join grains on scope = '' or grain not in ('minute', 'ten_minutes')
                  group by scope, grain, rollup_begin(grain, begin_at)
             ), folded as (
                 insert into rollup as old (scope, grain, begin_at, succeeded, failed, skipped, cancelled, dry, out_of_sync,
                                            durations, reasons)
                 select scope, grain, begin_at, succeeded, failed, skipped, cancelled, dry, out_of_sync,
                        coalesce(durations, '{}'), coalesce(reasons, '{}')
                   from sums
                   left join duration_counts using (scope, grain, begin_at)
                   left join reason_counts using (scope, grain, begin_at)
                  -- In one order for all.
                  order by scope, grain, begin_at
                 on conflict (scope, grain, begin_at) do update
                    set succeeded = old.succeeded + excluded.succeeded, failed = old.failed + excluded.failed,
                        skipped = old.skipped + excluded.skipped, cancelled = old.cancelled + excluded.cancelled,
                        dry = old.dry + excluded.dry, out_of_sync = old.out_of_sync + excluded.out_of_sync,
                        durations = tallies_added(old.durations, excluded.durations),
                        reasons = tallies_added(old.reasons, excluded.reasons)
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
    pub async fn forget_rollups(&self, now: Now, limit: u64) -> Result<u64, Error> {
        let done = sqlx::query(
            "delete from rollup
              where ctid = any (array(select old.ctid
                                        from (values ('minute', interval '4 days'), ('ten_minutes', '4 days'), ('hour', '92 days'),
                                                     ('day', '92 days'), ('week', '92 days')) as kept (grain, for_days)
                                       cross join lateral (select ctid
                                                             from rollup
                                                            where grain = kept.grain
                                                              and begin_at < coalesce($1, now()) - for_days
                                                            order by begin_at
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
