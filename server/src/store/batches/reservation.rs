//! The places of a batch: how many of its runs may write.

use crate::{
    domain::BatchGuardRule,
    error::Error,
    store::{handle::Store, runs::queue::lease::LeaseKey, statement::StatementTime},
};

/// Whether a run may begin to write, as far as its batch goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchReservation {
    /// It may: it took a place now, or an earlier attempt of it did.
    Granted,
    /// As many as may have taken a place of this kind already.
    Refused(FullGuard),
    /// Its tenant is no longer one of the organization that the batch is for.
    OrganizationChanged,
    /// The fencing token is no longer current.
    LeaseLost,
}

/// What of a batch has no place left for a run that needs one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FullGuard {
    /// A guard of the batch.
    Rule(BatchGuardRule),
    /// The runs that were confirmed for guards of runs.
    Overrides,
}

impl Store {
    /// Takes a place for a run of a batch, one for another primary category where `primary` says so, and one of those
    /// that were confirmed for guards of runs where the run's guards are `overridden`: all or none. A run takes each of
    /// these once, however many attempts it needs, and keeps it whatever becomes of the write: there are never more
    /// writes of a kind than places. An attempt that would do something else than the one before takes what that one
    /// did not need. A run that a single request has joined needs no place: it would be made without the batch. Nor
    /// does the batch's target concern it.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn reserve_batch_write(
        &self,
        now: StatementTime,
        held: LeaseKey,
        primary: bool,
        overridden: bool,
    ) -> Result<BatchReservation, Error> {
        let row: Option<(bool, bool, bool, bool)> = sqlx::query_as(include_str!("reserve_batch_write.sql"))
            .bind(now)
            .bind(held.id)
            .bind(held.fencing_token)
            .bind(primary)
            .bind(overridden)
            .fetch_optional(&self.pool)
            .await?;
        Ok(match row {
            None => BatchReservation::LeaseLost,
            Some((true, ..)) => BatchReservation::Granted,
            Some((_, true, ..)) => BatchReservation::OrganizationChanged,
            // Of several that are full, the one that is hardest to override is named.
            Some((_, _, true, _)) => BatchReservation::Refused(FullGuard::Overrides),
            Some((.., true)) => BatchReservation::Refused(FullGuard::Rule(BatchGuardRule::Primary)),
            Some(_) => BatchReservation::Refused(FullGuard::Rule(BatchGuardRule::Tenants)),
        })
    }
}
