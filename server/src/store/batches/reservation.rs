//! Reservations: how many runs of a batch may write.

use crate::{
    domain::BatchGuardRule,
    error::Error,
    store::{handle::Store, runs::queue::lease::LeaseKey, statement::StatementTime},
};

/// Whether the guards of its batch let a run write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchReservation {
    /// Yes: it, or an earlier attempt, has reserved its write.
    Granted,
    /// No: this limit is reached.
    Refused(FullGuard),
    /// Its tenant is no longer one of the organization that the batch is for.
    OrganizationChanged,
    /// The fencing token is no longer current.
    LeaseLost,
}

/// The limit of a batch that is reached.
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
