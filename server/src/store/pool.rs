//! The connections.

use std::time::Duration;

use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

/// How long a call waits for a connection before it answers that the database is unavailable.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// Makes a pool. Nothing is connected yet, so a server can start before its database.
#[must_use]
pub fn connect(options: PgConnectOptions, max_connections: u32) -> PgPool {
    let options = options
        .application_name("category-mirror")
        // A server that hangs must not hang its callers: no statement here takes long.
        .options([("statement_timeout", "30s"), ("idle_in_transaction_session_timeout", "30s")])
        // Below are notices such as "relation already exists, skipping", which nobody needs in a log.
        .options([("client_min_messages", "warning")]);
    PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // A ping before each use costs a quarter of the throughput; a dead connection is found by its first statement.
        .test_before_acquire(false)
        .connect_lazy_with(options)
}
