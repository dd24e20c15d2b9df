//! The connections.

use std::{sync::Arc, time::Duration};

use sqlx::{
    Connection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::timeout;

use super::{
    connection_pool::{ConnectionPool, is_current},
    route::Route,
    session::Session,
};

/// How long a call waits for a connection before it answers that the database is unavailable.
pub(super) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a statement that nobody waits for may keep its connection.
const ABANDONED_TIMEOUT: Duration = Duration::from_millis(500);

/// About as many as there are statements of the hot path under way at once; one more waits for another.
const HOT_CONNECTIONS: u32 = 6;

/// Makes a pool of connections that are sessions, for tables in the default schema. Nothing is connected yet, so a server can start before
/// its database.
#[must_use]
pub fn connect(options: PgConnectOptions, max_connections: u32) -> PgPool {
    Route::direct(options).session_pool(&[], settings(max_connections))
}

/// What goes over every day takes some milliseconds of a processor: more at once would not be sooner done.
const PLANNED_CONNECTIONS: u32 = 4;

/// Connections for the few statements that every run goes through: accepting, claiming, ending. Planning one of them takes longer than
/// carrying it out, so each is planned once, for any values. A plan that is made while tables are empty, and knows of no batch how long it
/// is, must neither read a table whole nor compare each row of a batch with each row of another: what is to be looked up by an index says
/// so, with `lateral`, and has no other way.
pub(super) fn hot(route: &Route) -> ConnectionPool {
    let session = [("plan_cache_mode", "force_generic_plan"), ("enable_seqscan", "off"), ("enable_nestloop", "off")];
    // They are kept between statements (`hot.rs`): what is acquired here was idle for long, or is new.
    route.pool(&session, settings(HOT_CONNECTIONS).test_before_acquire(true))
}

/// One connection for what must not wait behind calls, and which no call uses: a kill switch is thrown when a server is overrun. Past a
/// pooler, too, whose connections others may have taken.
pub(super) fn apart(route: &Route) -> ConnectionPool {
    ConnectionPool::new(route.session_pool(&[], settings(1)))
}

/// Connections for statements over every day of the history: planning one for each of its partitions again and again takes ten times as
/// long as carrying it out. A day that was empty when a plan was made is not read whole later.
///
/// Rows come in the order of an index, and are never sorted: a list that orders by the columns of the one index that is right for it, see
/// `logs.rs`, leaves the planner no other, whatever it takes the sizes and the values for. Otherwise it may take the walk over all ids,
/// which have the order already, for the cheaper one, as it did at 3,000,000 runs over 90 days.
pub(super) fn planned(route: &Route) -> ConnectionPool {
    let planned = [("plan_cache_mode", "force_generic_plan"), ("enable_seqscan", "off")];
    let sorted = [("enable_sort", "off"), ("enable_incremental_sort", "off")];
    route.pool(&[planned, sorted].concat(), settings(PLANNED_CONNECTIONS))
}

/// Sets the settings of each new session before anybody uses it.
pub(super) fn with_session(options: PgPoolOptions, session: Session) -> PgPoolOptions {
    let session = Arc::new(session);
    options.after_connect(move |connection, _| {
        let session = session.clone();
        Box::pin(async move { session.set(connection).await })
    })
}

pub(super) fn settings(max_connections: u32) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // A ping before each use costs a quarter of the throughput; a dead connection is found by its first statement.
        .test_before_acquire(false)
        // One that may have a plan that the schema has outgrown is opened anew.
        .before_acquire(|_, metadata| Box::pin(async move { Ok(is_current(metadata.age)) }))
        // A call that ends at its deadline leaves its statement behind. One that is nearly done is waited for; behind one that hangs, the
        // connection would be missing for as long as it does. A connection with nothing on it answers this without a round trip.
        .after_release(|connection, metadata| {
            Box::pin(async move {
                let is_free = timeout(ABANDONED_TIMEOUT, connection.flush()).await.is_ok_and(|flushed| flushed.is_ok());
                Ok(is_free && is_current(metadata.age))
            })
        })
}
