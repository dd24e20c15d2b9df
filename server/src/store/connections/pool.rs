//! A pool of connections.
//!
//! sqlx's own pool asks each connection that comes back whether it is alive, with a round trip that nothing bounds: a server that falls
//! silent takes every place along. It also hands out a connection whose `begin` was given up. This one takes back a connection only
//! between two statements, asks nothing, and counts a place as free in every other case.

use std::sync::Arc;

use futures::{
    TryStreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use sqlx::{
    Execute, Executor, Postgres, SqlStr,
    postgres::{PgRow, PgStatement, PgTypeInfo},
};
use tokio::time::{Instant, timeout_at};

use super::{
    connection::Connection,
    epoch::Epochs,
    hosts::Hosts,
    pool_state::{PoolLimits, PoolState},
    repeatable::{Repeatable, Step},
    transaction::Transaction,
};

/// A pool. A statement that is sent to it is a transaction of its own. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ConnectionPool(Arc<PoolState>);

impl ConnectionPool {
    pub(in crate::store) fn new(hosts: Hosts, epochs: Epochs, limits: PoolLimits) -> Self {
        Self(Arc::new(PoolState::new(hosts, epochs, limits)))
    }

    /// A connection for several statements in a row.
    ///
    /// # Errors
    /// [`sqlx::Error::PoolTimedOut`] where all are in use, or the server's.
    pub(in crate::store) async fn acquire(&self) -> Result<Connection, sqlx::Error> {
        let deadline = Instant::now() + self.0.limits().acquire_timeout;
        let permit = timeout_at(deadline, self.0.permit()).await.map_err(|_| sqlx::Error::PoolTimedOut)??;
        if let Some(idle) = self.0.take_idle() {
            return Ok(Connection::new(idle, self.0.clone(), permit));
        }
        // By a task of its own: a connection that nothing waits for any more is put into the pool by its drop. Opening one costs a server
        // far more than a statement does.
        let pool = self.0.clone();
        let opening = tokio::spawn(async move {
            let opened = pool.open(deadline).await?;
            Ok(Connection::new(opened, pool, permit))
        });
        opening.await.map_err(|_| sqlx::Error::WorkerCrashed)?
    }

    /// Begins a transaction.
    pub(in crate::store) async fn begin(&self) -> Result<Transaction, sqlx::Error> {
        self.begin_with("begin").await
    }

    /// Begins a transaction with this statement.
    pub(in crate::store) async fn begin_with(&self, statement: &'static str) -> Result<Transaction, sqlx::Error> {
        Transaction::begin(self.acquire().await?, statement).await
    }

    /// The most connections that it has.
    pub(in crate::store) fn max_connections(&self) -> u32 {
        self.0.limits().connections
    }

    /// Closes every connection, once those that are in use come back.
    pub(in crate::store) async fn close(&self) {
        self.0.close().await;
    }

    /// Counts the open connections, and the idle ones among them.
    pub(in crate::store) fn count(&self) -> (usize, usize) {
        self.0.count()
    }
}

impl<'p> Executor<'p> for &'_ ConnectionPool {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Step, sqlx::Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let (pool, statement) = (self.clone(), Repeatable::of(query));
        let steps = async move { pool.acquire().await?.steps_alone(statement?).await };
        // No list of the store is too long to be collected.
        Box::pin(stream::once(steps).map_ok(|steps| stream::iter(steps.into_iter().map(Ok))).try_flatten())
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let (pool, statement) = (self.clone(), Repeatable::of(query));
        Box::pin(async move { pool.acquire().await?.row_alone(statement?).await })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, sqlx::Error>>
    where
        'p: 'e,
    {
        let pool = self.clone();
        Box::pin(async move { pool.acquire().await?.prepare_with(sql, parameters).await })
    }
}
