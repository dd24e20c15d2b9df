//! Whether a URL leads to sessions, or to a pooler that hands each transaction to another one.

use std::time::Duration;

use sqlx::{PgConnection, Row};
use tokio::time::timeout;

/// How often is looked: a pooler that hands out sessions in turn shows itself in the second round, one that hands out the last used one in
/// the first, and one that others use in some of these.
const PROBE_ROUNDS: usize = 8;
/// A pooler with one session makes one connection wait for the other's transaction.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Whether each of two connections has a session that is its own. A transaction on one of them takes a session away from a pooler: either
/// the one that the other has just used, or this one gets another then.
pub(in crate::store) async fn are_kept(one: &mut PgConnection, other: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let first = process(one).await?;
    for _ in 0..PROBE_ROUNDS {
        sqlx::raw_sql("begin").execute(&mut *other).await?;
        let taken = process(other).await?;
        let Ok(again) = timeout(ANSWER_TIMEOUT, process(one)).await else { return Ok(false) };
        sqlx::raw_sql("rollback").execute(&mut *other).await?;
        if taken == first || again? != first {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The process of a connection's session. Asked without a prepared statement, which a pooler might lose.
async fn process(connection: &mut PgConnection) -> Result<String, sqlx::Error> {
    sqlx::raw_sql("select pg_backend_pid()::text").fetch_one(connection).await?.try_get(0)
}
