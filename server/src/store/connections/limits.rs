//! The connections.

use std::time::Duration;

use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::{
    epoch::Epochs,
    pool::{ConnectionPool, PoolLimits},
    route::{Route, session_pool},
};

/// How long a call waits for a connection before it answers that the database is unavailable.
pub(in crate::store) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// How old a connection may become. What a server keeps for each grows with what was asked on it.
const MAX_CONNECTION_AGE: Duration = Duration::from_secs(30 * 60);

/// The part of the connections that calls share with runs, and that is for runs alone: an attempt needs one for some milliseconds.
const KEPT_SHARE: u32 = 8;
/// From so many on, one is for runs at least. Of fewer, calls of one subject that hang would leave none to others.
const MIN_TO_KEEP: u32 = 4;

/// About as many as there are statements of the hot path under way at once; one more waits for another.
const QUEUE_CONNECTIONS: u32 = 6;

/// Makes a pool of connections that are sessions, for tables in the default schema. Nothing is connected yet. A [`Store`][crate::store::Store] takes its
/// settings, and has connections of its own.
#[must_use]
pub fn connect(options: PgConnectOptions, max_connections: u32) -> PgPool {
    let pool = PgPoolOptions::new().max_connections(max_connections).acquire_timeout(ACQUIRE_TIMEOUT);
    session_pool(&Route::direct(options), pool)
}

/// What goes over every day takes some milliseconds of a processor: more at once would not be sooner done.
const HISTORY_POOL_SIZE: u32 = 4;
/// The same as a number of calls.
pub const HISTORY_CONNECTIONS: usize = HISTORY_POOL_SIZE as usize;

/// Connections for the few statements that every run goes through: accepting, claiming, ending. Planning one of them takes longer than
/// carrying it out, so each is planned once, for any values. A plan that is made while tables are empty, and knows of no batch how long it
/// is, must neither read a table whole nor compare each row of a batch with each row of another: what is to be looked up by an index says
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
/// long as carrying it out. A day that was empty when a plan was made is not read whole later.
///
/// Rows come in the order of an index, and are never sorted: a list that orders by the columns of the one index that is right for it, see
/// `logs.rs`, leaves the planner no other, whatever it takes the sizes and the values for. Otherwise it may take the walk over all ids,
/// which have the order already, for the cheaper one, as it did at 3,000,000 runs over 90 days.
pub(in crate::store) fn history_pool(route: &Route, epochs: &Epochs) -> ConnectionPool {
    let planned = [("plan_cache_mode", "force_generic_plan"), ("enable_seqscan", "off")];
    let sorted = [("enable_sort", "off"), ("enable_incremental_sort", "off")];
    ConnectionPool::new(
        route.hosts(&[planned, sorted].concat()),
        epochs.clone(),
        PoolLimits { kept_from_calls: 1, ..limits(HISTORY_POOL_SIZE) },
    )
}

/// The connections that calls share, and of which some are left to runs.
pub(in crate::store) fn shared(connections: u32) -> PoolLimits {
    let kept_from_calls = (connections / KEPT_SHARE).max(u32::from(connections >= MIN_TO_KEEP));
    PoolLimits { kept_from_calls, ..limits(connections) }
}

/// So many connections, each for as long as it may be kept.
pub(in crate::store) fn limits(connections: u32) -> PoolLimits {
    PoolLimits { connections, kept_from_calls: 0, acquire_timeout: ACQUIRE_TIMEOUT, max_age: MAX_CONNECTION_AGE }
}
