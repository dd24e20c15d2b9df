//! The places of a batch: how many of its runs may write.

use super::{Held, Now, Store};
use crate::error::Error;

/// Whether a run may begin to write, as far as its batch goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchPlace {
    /// It may: it took a place now, or an earlier attempt of it did.
    Taken,
    /// As many as may have taken one already.
    Refused,
    /// The run is in other hands.
    Lost,
}

impl Store {
    /// Takes a place for a run of a batch, one for another primary category where `primary` says so, and one of those that were confirmed for
    /// guards of runs where the run's guards are `overridden`: all or none. A run takes places once, however many attempts it needs, and keeps them whatever becomes of the write: there are never more writes than places.
    ///
    /// # Errors
    /// The database's.
    pub async fn take_place(&self, now: Now, held: Held, primary: bool, overridden: bool) -> Result<BatchPlace, Error> {
        let row: Option<(bool,)> = sqlx::query_as(
            "with holder as materialized (
                 select id, batch_id, let_through from run
                  where id = $2 and attempt = $3 and state = 'running' and lease_until > coalesce($1, now())
                    for update
             ), place as (
                 update batch
                    set changing = changing + 1, changing_primary = changing_primary + $4::integer,
                        overriding = overriding + $5::integer
                   from holder
                  where batch.id = holder.batch_id and not holder.let_through
                    and (change_limit is null or changing < change_limit)
                    and (not $4 or primary_limit is null or changing_primary < primary_limit)
                    and (not $5 or overriding < override_limit)
                 returning 1
             ), let_through as (
                 update run set let_through = true
                  where id in (select id from holder) and exists (select 1 from place)
             )
             select holder.let_through or exists (select 1 from place) from holder",
        )
        .bind(now)
        .bind(held.id)
        .bind(held.fence)
        .bind(primary)
        .bind(overridden)
        .fetch_optional(&self.pool)
        .await?;
        Ok(match row {
            None => BatchPlace::Lost,
            Some((true,)) => BatchPlace::Taken,
            Some((false,)) => BatchPlace::Refused,
        })
    }
}
