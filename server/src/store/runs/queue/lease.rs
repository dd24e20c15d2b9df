//! Leases: their names, and their renewal.

use std::time::Duration;

use crate::{
    domain::RunId,
    error::Error,
    store::{
        handle::Store,
        statement::{StatementTime, interval},
    },
};

/// The name of a lease: every write of an attempt matches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseKey {
    /// The run.
    pub id: RunId,
    /// The fencing token.
    pub fencing_token: i32,
}

/// The state of a lease, as its renewal found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeaseStatus {
    /// The run.
    pub id: RunId,
    /// Whether its cancellation is requested.
    pub cancel_requested: bool,
    /// Whether the lease was renewed. While another statement has the row locked, it is not, and its expiry stays as it is.
    pub renewed: bool,
}

impl Store {
    /// Renews leases. Returns those that are still held; a missing one is lost.
    ///
    /// Skips locked rows: the statement that has one locked writes for this very lease or reclaims it, and two statements that wait for
    /// each other's rows would end in a deadlock.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn renew_leases(
        &self,
        now: StatementTime,
        held: &[LeaseKey],
        lease: Duration,
    ) -> Result<Vec<LeaseStatus>, Error> {
        let (ids, fencing_tokens) = columns(held);
        let rows: Vec<(RunId, bool, bool)> = sqlx::query_as(include_str!("renew_leases.sql"))
            .bind(now)
            .bind(ids)
            .bind(fencing_tokens)
            .bind(interval(lease))
            .fetch_all(&self.lease_pool)
            .await?;
        Ok(rows
            .into_iter()
            .map(|(id, cancel_requested, renewed)| LeaseStatus { id, cancel_requested, renewed })
            .collect())
    }
}

/// Run ids and fencing tokens, as the statements take them.
pub(super) fn columns(held: &[LeaseKey]) -> (Vec<RunId>, Vec<i32>) {
    held.iter().map(|held| (held.id, held.fencing_token)).unzip()
}
