//! The watchdog: finds out whether there is a server that takes writes, and ends what waits for one that is gone.

use std::time::Duration;

use sqlx::Row;
use tokio::time::{Instant, timeout};

use super::{
    epoch::{Epochs, no_answer},
    hosts::{Hosts, SERVER_IDENTITY, read_only},
    pool::ConnectionPool,
    pool_state::PoolLimits,
    sql_state::is_of_server,
};

/// How long a server may take to answer a ping before it counts as silent. With a ping each second a silent server is noticed within 4 s.
const PING_TIMEOUT: Duration = Duration::from_secs(3);
/// One connection, apart from those of calls and runs: a ping must not wait behind them. It is opened anew again and again, so that a
/// name that leads to another server is noticed although the old one answers still.
const LIMITS: PoolLimits = PoolLimits {
    connections: 1,
    kept_from_calls: 0,
    acquire_timeout: Duration::from_secs(2),
    max_age: Duration::from_secs(5),
};

/// The watchdog of a store's connections. Cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::store) struct Watchdog {
    connections: ConnectionPool,
    epochs: Epochs,
}

impl Watchdog {
    /// A watchdog for the connections of these epochs.
    pub(in crate::store) fn new(hosts: Hosts, epochs: Epochs) -> Self {
        Self { connections: ConnectionPool::new(hosts, epochs.clone(), LIMITS), epochs }
    }

    /// Asks whether there is a server that takes writes. Where it is silent, or another than before, statements under way on other
    /// connections end with an error, and those connections are not used again.
    ///
    /// # Errors
    /// When there is none.
    pub(in crate::store) async fn ping(&self) -> Result<(), sqlx::Error> {
        let began_at = Instant::now();
        let pinged = timeout(PING_TIMEOUT, self.ping_twice()).await.unwrap_or_else(|_| Err(no_answer()));
        match &pinged {
            // Unless an older connection was answered in the meantime: then only the ping's own way is blocked, or this process is slow.
            Err(error) if is_gone(error) && !self.epochs.has_answered_since(began_at) => {
                tracing::warn!(%error, "no database server answers; running statements are abandoned");
                self.epochs.cut();
            }
            _ => {}
        }
        pinged
    }

    /// Closes its connection.
    pub(in crate::store) async fn close(&self) {
        self.connections.close().await;
    }

    /// Pings again if the connection broke: it may have broken before this ping.
    async fn ping_twice(&self) -> Result<(), sqlx::Error> {
        match self.ping_once().await {
            Err(error) if is_of_server(&error) => self.ping_once().await,
            pinged => pinged,
        }
    }

    async fn ping_once(&self) -> Result<(), sqlx::Error> {
        let mut connection = self.connections.acquire().await?;
        self.epochs.watch_opened_before(connection.opened_at());
        let row = sqlx::query(SERVER_IDENTITY).fetch_one(&mut connection).await?;
        if row.try_get::<bool, _>(0)? {
            let current = self.epochs.current();
            self.epochs.retire(&current);
            return Err(read_only());
        }
        Ok(())
    }
}

/// Whether a server did not answer, or could not be reached. One that refuses a connection by a message of its own is there.
fn is_gone(error: &sqlx::Error) -> bool {
    is_of_server(error) || matches!(error, sqlx::Error::PoolTimedOut)
}
