//! The state of a pool, which its connections share: its places, and the connections that nothing uses.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::future::join_all;
use sqlx::{Connection as _, PgConnection};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};

use super::{
    epoch::{Epoch, Epochs},
    hosts::{Hosts, may_pass},
    repeatable::is_newer_than_outgrown,
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

/// The places and the idle connections of a pool. Connections in use hold it, to come back to it.
#[derive(Debug)]
pub(super) struct PoolState {
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

impl PoolState {
    pub(super) fn new(hosts: Hosts, epochs: Epochs, limits: PoolLimits) -> Self {
        let permits = |count: u32| Arc::new(Semaphore::new(count as usize));
        let call_permits = permits(limits.connections.saturating_sub(limits.kept_from_calls).max(1));
        let (permits, idle, open) = (permits(limits.connections), Mutex::default(), TaskTracker::new());
        Self { hosts, epochs, limits, permits, call_permits, idle, open }
    }

    /// Waits for a place for what is polled now.
    pub(super) async fn permit(&self) -> Result<ConnectionPermit, sqlx::Error> {
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

    pub(super) fn take_idle(&self) -> Option<Opened> {
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
    pub(super) async fn open(&self, deadline: Instant) -> Result<Opened, sqlx::Error> {
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

    pub(super) fn limits(&self) -> PoolLimits {
        self.limits
    }

    pub(super) fn epochs(&self) -> &Epochs {
        &self.epochs
    }

    pub(super) fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// Takes a connection back whose last statement was answered.
    pub(super) fn put(&self, opened: Opened, permit: ConnectionPermit) {
        if !self.permits.is_closed() && self.may_use(&opened) {
            self.idle().push_back(Idle { opened, since: Instant::now() });
        }
        // After the connection is back: the next holder of the permit finds it.
        drop(permit);
    }

    /// Closes every connection, once those that are in use come back.
    pub(super) async fn close(&self) {
        self.permits.close();
        self.call_permits.close();
        let idle: Vec<Idle> = self.idle().drain(..).collect();
        let closing = join_all(idle.into_iter().map(|Idle { opened: Opened { raw, .. }, .. }| raw.close()));
        self.open.close();
        let closed = async {
            closing.await;
            self.open.wait().await;
        };
        let _ = timeout(CLOSE_TIMEOUT, closed).await;
    }

    /// Counts the open connections, and the idle ones among them.
    pub(super) fn count(&self) -> (usize, usize) {
        (self.open.len(), self.idle().len())
    }
}
