//! The pools of a store, one for each kind of statement, and sqlx's own pools for what is no statement of the store.

use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::{
    epoch::Epochs,
    hosts::Hosts,
    limits::{ACQUIRE_TIMEOUT, limits},
    pool::ConnectionPool,
    pool_state::PoolLimits,
    route::Route,
};

/// About as many as there are statements of the hot path under way at once; one more waits for another.
const QUEUE_CONNECTIONS: u32 = 6;

/// What goes over every day takes some milliseconds of a processor: more at once would not be sooner done.
const HISTORY_POOL_SIZE: u32 = 4;
/// The same as a number of calls.
pub const HISTORY_CONNECTIONS: usize = HISTORY_POOL_SIZE as usize;

/// What a store connects with: the route of a server, and how many connections it has. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pools {
    route: Route,
    max_connections: u32,
    /// The pool that the settings are from. It is closed with the store, because its maker may have used it.
    given: Option<PgPool>,
}

impl From<PgPool> for Pools {
    /// With the settings of a pool that [`connect`] has made.
    fn from(pool: PgPool) -> Self {
        let route = Route::direct(PgConnectOptions::clone(&pool.connect_options()));
        Self { route, max_connections: pool.options().get_max_connections(), given: Some(pool) }
    }
}

impl Pools {
    /// The pools of a store with `max_connections` for calls and runs. Nothing is connected.
    #[must_use]
    pub fn new(route: Route, max_connections: u32) -> Self {
        Self { route, max_connections, given: None }
    }

    pub(in crate::store) fn route(&self) -> &Route {
        &self.route
    }

    pub(in crate::store) fn given(&self) -> Option<PgPool> {
        self.given.clone()
    }

    /// How many connections calls and runs share.
    #[must_use]
    pub fn max_connections(&self) -> u32 {
        self.max_connections
    }

    /// A pool of one connection that stays open and has a session of its own, for LISTEN at the server that takes writes: a standby gets no
    /// notification.
    ///
    /// # Errors
    /// Those of the connection, or that no server takes writes.
    pub async fn for_listening(&self) -> Result<PgPool, sqlx::Error> {
        let hosts = self.route.direct_hosts(&[]);
        let options = hosts.writable().await?;
        let one = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None);
        Ok(with_session(one.acquire_timeout(ACQUIRE_TIMEOUT), hosts).connect_lazy_with(options))
    }

    /// One connection that has a session of its own, for NOTIFY.
    #[must_use]
    pub fn for_notifying(&self) -> ConnectionPool {
        ConnectionPool::new(self.route.direct_hosts(&[]), Epochs::default(), limits(1))
    }
}

/// Makes sqlx's pool of connections that have a session of their own.
fn session_pool(route: &Route, options: PgPoolOptions) -> PgPool {
    with_session(options, route.direct_hosts(&[])).connect_lazy_with(route.startup())
}

/// Sets the settings of each new session before anybody uses it.
fn with_session(options: PgPoolOptions, hosts: Hosts) -> PgPoolOptions {
    options.after_connect(move |connection, _| {
        let hosts = hosts.clone();
        Box::pin(async move { hosts.set_up(connection).await })
    })
}

/// Makes a pool of connections that are sessions, for tables in the default schema. Nothing is connected yet. A
/// [`Store`][crate::store::Store] takes its settings, and has connections of its own.
#[must_use]
pub fn connect(options: PgConnectOptions, max_connections: u32) -> PgPool {
    let pool = PgPoolOptions::new().max_connections(max_connections).acquire_timeout(ACQUIRE_TIMEOUT);
    session_pool(&Route::direct(options), pool)
}

/// Connections for the few statements that every run goes through: accepting, claiming, ending. Planning one of them takes longer than
/// executing it, so each is planned once, for any values. A plan that is made while tables are empty, and knows of no batch how long it
/// is, must neither read a table whole nor compare each row of a batch with each row of another: a look-up by an index is written
/// so, with `lateral`, and has no other way.
pub(in crate::store) fn queue_pool(route: &Route, epochs: &Epochs) -> ConnectionPool {
    let settings = [("plan_cache_mode", "force_generic_plan"), ("enable_seqscan", "off"), ("enable_nestloop", "off")];
    ConnectionPool::new(route.hosts(&settings), epochs.clone(), limits(QUEUE_CONNECTIONS))
}

/// One connection for what must not wait behind calls, and which no call uses: a kill switch is thrown when a server is overrun. Leases
/// have another one of this kind. Past a pooler, too, whose sessions others may have taken.
pub(in crate::store) fn single(route: &Route, epochs: &Epochs) -> ConnectionPool {
    ConnectionPool::new(route.direct_hosts(&[]), epochs.clone(), limits(1))
}

/// Connections for statements over every day of the history: planning one for each of its partitions again and again takes ten times as
/// long as executing it. A day that was empty when a plan was made is not read whole later.
///
/// Rows come in the order of an index, and are never sorted: a list that orders by the columns of the one index that is
/// right for it, see `history/search.rs`, leaves the planner no other, whatever it takes the sizes and the values for.
/// Otherwise it may take the walk over all ids, which have the order already, for the cheaper one, as it did at
/// 3,000,000 runs over 90 days.
pub(in crate::store) fn history_pool(route: &Route, epochs: &Epochs) -> ConnectionPool {
    let planned = [("plan_cache_mode", "force_generic_plan"), ("enable_seqscan", "off")];
    let sorted = [("enable_sort", "off"), ("enable_incremental_sort", "off")];
    ConnectionPool::new(
        route.hosts(&[planned, sorted].concat()),
        epochs.clone(),
        PoolLimits { kept_from_calls: 1, ..limits(HISTORY_POOL_SIZE) },
    )
}
