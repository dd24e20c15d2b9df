//! The store: its pools, and the watchdogs over them.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use sqlx::PgPool;

use super::{
    connections::{
        ConnectionPool, Epochs, Watchdog, limits,
        pools::{self, Pools},
    },
    unanswered_claims::UnansweredClaims,
};
use crate::error::Error;

/// The database of the service: every statement is a method of it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    /// For the statements of calls and of attempts.
    pub(super) pool: ConnectionPool,
    /// For the statements that every run passes: accept, claim, finish; see [`pools::queue_pool`].
    pub(super) queue_pool: ConnectionPool,
    /// For reads of the flags before a write, which no call may delay; see [`pools::single`].
    pub(super) flag_pool: ConnectionPool,
    /// For statements that may read every partition of the history; see [`pools::history_pool`].
    pub(super) history_pool: ConnectionPool,
    /// For lease renewals, which must not wait behind the work under the leases.
    pub(super) lease_pool: ConnectionPool,
    /// For changes of the schema that cannot run in a transaction, such as detaching a partition.
    pub(super) definition_pool: ConnectionPool,
    watchdogs: Watchdogs,
    pub(super) unanswered: UnansweredClaims,
    /// The pool that the settings are taken from, which is closed with the store.
    given: Option<PgPool>,
}

/// The watchdogs of a store, one for each route to the database: a pooler may lead to another server for a while.
#[derive(Debug, Clone)]
struct Watchdogs {
    own: Watchdog,
    /// That of the direct route, if `own` goes through a pooler.
    direct: Option<Watchdog>,
    /// Whether the last ping failed.
    is_away: Arc<AtomicBool>,
}

impl Store {
    /// Creates a store of a migrated database, with the settings of these pools and connections of its own. Nothing is connected yet.
    #[must_use]
    pub fn new(from: impl Into<Pools>) -> Self {
        let from = from.into();
        let route = from.route();
        let epochs = Epochs::default();
        let pool = ConnectionPool::new(route.hosts(&[]), epochs.clone(), limits::shared(from.max_connections()));
        let own = Watchdog::new(route.hosts(&[]), epochs.clone());
        let (direct, direct_epochs, definition_pool) = if route.has_pooler() {
            let epochs = Epochs::default();
            let watchdog = Watchdog::new(route.direct_hosts(&[]), epochs.clone());
            (Some(watchdog), epochs.clone(), pools::single(route, &epochs))
        } else {
            (None, epochs.clone(), pool.clone())
        };
        Self {
            pool,
            queue_pool: pools::queue_pool(route, &epochs),
            flag_pool: pools::single(route, &direct_epochs),
            history_pool: pools::history_pool(route, &epochs),
            lease_pool: pools::single(route, &direct_epochs),
            definition_pool,
            watchdogs: Watchdogs { own, direct, is_away: Arc::default() },
            unanswered: UnansweredClaims::default(),
            given: from.given(),
        }
    }

    /// Returns the number of connections that calls share.
    #[must_use]
    pub fn max_connections(&self) -> u32 {
        self.pool.max_connections()
    }

    /// Whether the database did not answer the last [`Store::ping`].
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.watchdogs.is_away.load(Ordering::Relaxed)
    }

    /// Closes every connection.
    pub async fn close(&self) {
        let Self {
            pool,
            queue_pool,
            flag_pool,
            history_pool,
            lease_pool,
            definition_pool,
            watchdogs,
            unanswered: _,
            given,
        } = self;
        tokio::join!(
            pool.close(),
            queue_pool.close(),
            flag_pool.close(),
            history_pool.close(),
            lease_pool.close(),
            definition_pool.close()
        );
        watchdogs.close().await;
        if let Some(given) = given {
            given.close().await;
        }
    }

    /// Checks that the database accepts writes. Call it about once a second: a failed ping ends the statements that
    /// wait for a server that is silent, or has been replaced, with an error.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] if it does not.
    pub async fn ping(&self) -> Result<(), Error> {
        Ok(self.watchdogs.ping().await?)
    }
}

impl Watchdogs {
    async fn ping(&self) -> Result<(), sqlx::Error> {
        let pinged = match &self.direct {
            Some(direct) => {
                // Both to the end: each of them ends the statements that wait on its route.
                let (own, direct) = tokio::join!(self.own.ping(), direct.ping());
                own.and(direct)
            }
            None => self.own.ping().await,
        };
        self.is_away.store(pinged.is_err(), Ordering::Relaxed);
        pinged
    }

    async fn close(&self) {
        self.own.close().await;
        if let Some(direct) = &self.direct {
            direct.close().await;
        }
    }
}
