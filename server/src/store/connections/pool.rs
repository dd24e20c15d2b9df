//! A pool of connections.
//!
//! sqlx's own pool asks each connection that comes back whether it is alive, with a round trip that nothing bounds: a server that falls
//! silent takes every place along. It also hands out a connection whose `begin` was given up. This one takes back a connection only
//! between two statements, asks nothing, and counts a place as free in every other case.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{
    TryStreamExt,
    future::{BoxFuture, join_all},
    stream::{self, BoxStream},
};
use sqlx::{
    Connection as _, Execute, Executor, PgConnection, Postgres, SqlStr,
    postgres::{PgRow, PgStatement, PgTypeInfo},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};

use super::{
    connection::{Connection, Transaction},
    epoch::{Epoch, Epochs},
    hosts::{Hosts, may_pass},
    repeatable::{Repeatable, Step, is_newer_than_outgrown},
};
use crate::admission::HeldPermits;

/// A connection that was idle for so long is not used again: a firewall between here and the server may have forgotten it.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// The pauses between tries to connect to a server that may let connections in soon.
const MIN_CONNECT_RETRY_DELAY: Duration = Duration::from_millis(10);
const MAX_CONNECT_RETRY_DELAY: Duration = Duration::from_millis(500);
/// How long closing waits for connections that are in use, and for what is still to be sent to the server.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// What a pool has.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct PoolLimits {
    /// The most connections.
    pub(in crate::store) connections: u32,
    /// So many of them are for what no call asked for. Calls that hang would take them all: each caller has a share, and callers are many.
    pub(in crate::store) kept_from_calls: u32,
    /// How long a connection is waited for, with the time that it takes to open it.
    pub(in crate::store) acquire_timeout: Duration,
    /// How old a connection may become.
    pub(in crate::store) max_age: Duration,
}

/// A pool. A statement that is sent to it is a transaction of its own. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ConnectionPool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    hosts: Hosts,
    epochs: Epochs,
    limits: PoolLimits,
    permits: Arc<Semaphore>,
    /// The places that calls may have.
    call_permits: Arc<Semaphore>,
    /// In the order in which they came back; the last one is used first.
    idle: Mutex<VecDeque<Idle>>,
    open: TaskTracker,
}

/// The place of a connection in its pool, and the permits of the call that it works for: both are free again when it is done.
#[derive(Debug)]
pub(super) struct ConnectionPermit {
    _permit: OwnedSemaphorePermit,
    /// `None` for what no call asked for.
    _call: Option<(HeldPermits, OwnedSemaphorePermit)>,
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) raw: PgConnection,
    pub(super) at: Instant,
    pub(super) epoch: Epoch,
    /// Counts it among those that are open.
    _counted: TaskTrackerToken,
}

#[derive(Debug)]
struct Idle {
    opened: Opened,
    since: Instant,
}

impl ConnectionPool {
    pub(in crate::store) fn new(hosts: Hosts, epochs: Epochs, limits: PoolLimits) -> Self {
        let permits = |count: u32| Arc::new(Semaphore::new(count as usize));
        let call_permits = permits(limits.connections.saturating_sub(limits.kept_from_calls).max(1));
        let (permits, idle, open) = (permits(limits.connections), Mutex::default(), TaskTracker::new());
        Self(Arc::new(Inner { hosts, epochs, limits, permits, call_permits, idle, open }))
    }

    /// A connection for several statements in a row.
    ///
    /// # Errors
    /// [`sqlx::Error::PoolTimedOut`] where all are in use, or the server's.
    pub(in crate::store) async fn acquire(&self) -> Result<Connection, sqlx::Error> {
        let deadline = Instant::now() + self.0.limits.acquire_timeout;
        let permit = timeout_at(deadline, self.0.permit()).await.map_err(|_| sqlx::Error::PoolTimedOut)??;
        if let Some(idle) = self.0.take_idle() {
            return Ok(Connection::new(idle, self.clone(), permit));
        }
        // By a task of its own: a connection that nothing waits for any more is put into the pool by its drop. Opening one costs a server
        // far more than a statement does.
        let pool = self.clone();
        let opening = tokio::spawn(async move {
            let opened = pool.0.open(deadline).await?;
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
        self.0.limits.connections
    }

    /// Closes every connection, once those that are in use come back.
    pub(in crate::store) async fn close(&self) {
        self.0.permits.close();
        self.0.call_permits.close();
        let idle: Vec<Idle> = self.0.idle().drain(..).collect();
        let closing = join_all(idle.into_iter().map(|Idle { opened: Opened { raw, .. }, .. }| raw.close()));
        self.0.open.close();
        let closed = async {
            closing.await;
            self.0.open.wait().await;
        };
        let _ = timeout(CLOSE_TIMEOUT, closed).await;
    }

    pub(super) fn epochs(&self) -> &Epochs {
        &self.0.epochs
    }

    pub(super) fn hosts(&self) -> &Hosts {
        &self.0.hosts
    }

    /// Takes a connection back whose last statement was answered.
    pub(super) fn put(&self, opened: Opened, permit: ConnectionPermit) {
        if !self.0.permits.is_closed() && self.0.may_use(&opened) {
            self.0.idle().push_back(Idle { opened, since: Instant::now() });
        }
        // Whoever waits for a place finds the connection.
        drop(permit);
    }

    /// Connections that are open, and those of them that nobody uses.
    pub(in crate::store) fn count(&self) -> (usize, usize) {
        (self.0.open.len(), self.0.idle().len())
    }
}

impl Inner {
    /// Waits for a place for what is polled now.
    async fn permit(&self) -> Result<ConnectionPermit, sqlx::Error> {
        let free =
            async |permits: &Arc<Semaphore>| permits.clone().acquire_owned().await.map_err(|_| sqlx::Error::PoolClosed);
        let call = match HeldPermits::current() {
            Some(call) => Some((call, free(&self.call_permits).await?)),
            None => None,
        };
        Ok(ConnectionPermit { _permit: free(&self.permits).await?, _call: call })
    }

    fn may_use(&self, opened: &Opened) -> bool {
        let age = opened.at.elapsed();
        age < self.limits.max_age && self.epochs.is_current(&opened.epoch) && is_newer_than_outgrown(age)
    }

    fn take_idle(&self) -> Option<Opened> {
        let mut idle = self.idle();
        while idle.front().is_some_and(|first| first.since.elapsed() >= IDLE_TIMEOUT) {
            idle.pop_front();
        }
        while let Some(Idle { opened, .. }) = idle.pop_back() {
            if self.may_use(&opened) {
                return Some(opened);
            }
        }
        None
    }

    /// Opens a connection. A server that may let one in soon is asked again, until the deadline.
    async fn open(&self, deadline: Instant) -> Result<Opened, sqlx::Error> {
        let mut pause = MIN_CONNECT_RETRY_DELAY;
        loop {
            let epoch = self.epochs.current();
            let connecting = timeout_at(deadline, epoch.bounded(self.hosts.connect()));
            match connecting.await.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
                Ok((raw, server)) => {
                    if let Some(epoch) = self.epochs.enter(&epoch, &server) {
                        return Ok(Opened { raw, at: Instant::now(), epoch, _counted: self.open.token() });
                    }
                    // The server may have changed while it was connected to.
                }
                Err(_) if self.permits.is_closed() => return Err(sqlx::Error::PoolClosed),
                Err(error) if may_pass(&error) && Instant::now() + pause < deadline => {}
                Err(error) => return Err(error),
            }
            sleep(pause).await;
            pause = (pause * 2).min(MAX_CONNECT_RETRY_DELAY);
        }
    }

    fn idle(&self) -> MutexGuard<'_, VecDeque<Idle>> {
        // Nothing panics while it is held.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
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
