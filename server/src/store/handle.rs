//! The store: its pools, and the watchdogs over them.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use sqlx::PgPool;

use super::{
    connections::{ConnectionPool, Epochs, Watchdog, limits, pools, pools::Pools},
    unanswered_claims::UnansweredClaims,
};
use crate::error::Error;

/// The database of the service: every statement is a method of it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    pub(super) pool: ConnectionPool,
    /// For the statements that every run goes through.
    pub(super) queue_pool: ConnectionPool,
    /// For the safety controls, and for nothing that a call asks for; see [`pools::single`].
    pub(super) flag_pool: ConnectionPool,
    /// For what may read of every day of the history; see [`pools::history_pool`].
    pub(super) history_pool: ConnectionPool,
    /// For the renewal of leases, which must not wait behind what is done under them.
    pub(super) lease_pool: ConnectionPool,
    /// For changes of the schema that cannot run in a transaction.
    pub(super) definition_pool: ConnectionPool,
    watchdogs: Watchdogs,
    pub(super) unanswered: UnansweredClaims,
    /// What the settings are from.
    given: Option<PgPool>,
}

/// The watchdogs of the connections of a store, one for each way to the database: a pooler may lead to another server for a while.
#[derive(Debug, Clone)]
struct Watchdogs {
    own: Watchdog,
    /// Of the direct way, where `own` is that through a pooler.
    direct: Option<Watchdog>,
    /// Whether the last ping failed.
    is_away: Arc<AtomicBool>,
}

impl Store {
    /// A store over a database that is migrated, with the settings of these pools and connections of its own.
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

    /// How many connections calls share.
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

    /// Checks that the database takes writes. Called again and again it is the watchdog of every connection: statements that wait for a
    /// server that is silent, or is not the one that answers now, end with an error.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] when it does not.
    pub async fn ping(&self) -> Result<(), Error> {
        Ok(self.watchdogs.ping().await?)
    }
}

impl Watchdogs {
    async fn ping(&self) -> Result<(), sqlx::Error> {
        let pinged = match &self.direct {
            Some(direct) => {
                // Both to the end: each of them ends what waits on its way.
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
