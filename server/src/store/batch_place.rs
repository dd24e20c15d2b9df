//! The places of a batch: how many of its runs may write.

use super::{Held, Now, Store};
use crate::{domain::BatchRule, error::Error};

/// Whether a run may begin to write, as far as its batch goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchPlace {
    /// It may: it took a place now, or an earlier attempt of it did.
    Taken,
    /// As many as may have taken a place of this kind already.
    Refused(FullGuard),
    /// Its tenant is no longer one of the organization that the batch is for.
    OrganizationChanged,
    /// The run is in other hands.
    Lost,
}

/// What of a batch has no place left for a run that needs one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FullGuard {
    /// A guard of the batch.
    Rule(BatchRule),
    /// The runs that were confirmed for guards of runs.
    Overrides,
}

impl Store {
    /// Takes a place for a run of a batch, one for another primary category where `primary` says so, and one of those that were confirmed for
    /// guards of runs where the run's guards are `overridden`: all or none. A run takes each of these once, however many attempts it needs, and
    /// keeps it whatever becomes of the write: there are never more writes of a kind than places. An attempt that would do something else than the
    /// one before takes what that one did not need. A run that a single request has joined needs no place: it would be made without the batch.
    /// Nor does the batch's target concern it.
    ///
    /// # Errors
    /// The database's.
    pub async fn take_place(&self, now: Now, held: Held, primary: bool, overridden: bool) -> Result<BatchPlace, Error> {
        let row: Option<(bool, bool, bool, bool)> = sqlx::query_as(
            "with holder as materialized (
                 -- The run, while this attempt holds it, the places that it lacks, and whether it may write whatever becomes of its batch.
                 select run.id, run.batch_id, not run.let_through as lacks_place,
                        $4 and not run.let_through_primary as lacks_primary, $5 and not run.let_through_overriding as lacks_override,
                        not run.bulk
                        or run.let_through and (run.let_through_primary or not $4) and (run.let_through_overriding or not $5) as is_free
                   from run
                  where run.id = $2 and run.attempt = $3 and run.state = 'running' and run.lease_until > coalesce($1, now())
                    for update
             ), stray as materialized (
                 -- The same where the tenant has left the organization that the batch is for.
                 select holder.id
                   from holder
                   join batch on batch.id = holder.batch_id and batch.organization_id is not null
                   join run on run.id = holder.id
                   join tenant on tenant.id = run.tenant_id
                  where not holder.is_free and holder.lacks_place and tenant.organization_id is distinct from batch.organization_id
             ), room as materialized (
                 -- The batch of a run that needs a place, locked, so that what is full here is full where the place would be taken.
                 select batch.id,
                        holder.lacks_place and coalesce(batch.changing >= batch.change_limit, false) as tenants_full,
                        holder.lacks_primary and coalesce(batch.changing_primary >= batch.primary_limit, false) as primary_full,
                        holder.lacks_override and coalesce(batch.overriding >= batch.override_limit, true) as overrides_full
                   from holder
                   join batch on batch.id = holder.batch_id
                  where not holder.is_free and not exists (select 1 from stray)
                    for update of batch
             ), place as (
                 -- The batch, where it has the places left.
                 update batch
                    set changing = changing + holder.lacks_place::integer,
                        changing_primary = changing_primary + holder.lacks_primary::integer,
                        overriding = overriding + holder.lacks_override::integer
                   from holder, room
                  where batch.id = room.id and not (room.tenants_full or room.primary_full or room.overrides_full)
                 returning 1
             ), let_through as (
                 update run
                    set let_through = true, let_through_primary = let_through_primary or $4,
                        let_through_overriding = let_through_overriding or $5
                  where id in (select id from holder) and exists (select 1 from place)
             )
             select holder.is_free or exists (select 1 from place), exists (select 1 from stray),
                    coalesce((select overrides_full from room), false), coalesce((select primary_full from room), false)
               from holder",
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
            Some((true, ..)) => BatchPlace::Taken,
            Some((_, true, ..)) => BatchPlace::OrganizationChanged,
            // Of several that are full, the one that is hardest to override is named.
            Some((_, _, true, _)) => BatchPlace::Refused(FullGuard::Overrides),
            Some((.., true)) => BatchPlace::Refused(FullGuard::Rule(BatchRule::Primary)),
            Some(_) => BatchPlace::Refused(FullGuard::Rule(BatchRule::Tenants)),
        })
    }
}
