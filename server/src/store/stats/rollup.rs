//! Counts of ended runs: the statement that ends them adds a delta, and maintenance sums the deltas into rollups.

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
    /// Sums up to `limit` deltas into their rollups. Returns how many.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn compact_rollup_deltas(&self, limit: i64) -> Result<i64, Error> {
        Ok(sqlx::query_scalar(include_str!("compact_rollup_deltas.sql")).bind(limit).fetch_one(&self.pool).await?)
    }

    /// Deletes rollups that no window reaches: minutes and ten minutes after 4 days, others after 92; up to `limit` of each grain.
    /// Returns how many.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
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
