//! Counts of ended runs: the trigger `run_history_add_rollup_delta` adds a delta for each statement that ends runs, and
//! maintenance sums the deltas into rollups.

use crate::{
    error::Error,
    store::{handle::Store, statement::StatementTime},
};

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
