//! The connections of the few statements that every run goes through: accepting, claiming, planning, ending.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sqlx::{
    FromRow, PgConnection, Postgres,
    pool::PoolConnection,
    postgres::{PgArguments, PgRow},
    query::QueryAs,
};
use tokio::{
    runtime::Handle,
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout},
};

use super::{
    connection_pool::{ConnectionPool, Repeatable, rows},
    error::is_cut,
    pool,
    route::Route,
};

/// How long a connection is kept. Then it goes back to the pool, which looks whether it is alive, and not too old.
const KEPT: Duration = Duration::from_secs(60);

/// The pool of [`pool::hot`], and connections of it that are kept between statements: the pool asks each that comes back whether it is
/// alive, which is a round trip, and with it a third of what a lone statement takes. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Hot {
    pool: ConnectionPool,
    kept: Arc<Shelf>,
    /// One a connection: who has one waits for none but those that are on their way back.
    places: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Shelf(Mutex<Vec<Kept>>);

impl Drop for Shelf {
    fn drop(&mut self) {
        // A connection goes back to the pool by a task. The last store may be dropped where there can be none any more.
        if Handle::try_current().is_err() {
            let kept = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
            kept.drain(..).for_each(|kept| drop(kept.connection.detach()));
        }
    }
}

#[derive(Debug)]
struct Kept {
    connection: PoolConnection<Postgres>,
    since: Instant,
}

impl Hot {
    pub(super) fn new(route: &Route) -> Self {
        let pool = pool::hot(route);
        let places = pool.options().get_max_connections() as usize;
        Self { pool, kept: Arc::default(), places: Arc::new(Semaphore::new(places)) }
    }

    /// All rows of a statement, which is a transaction of its own.
    pub(super) async fn fetch_all<T>(
        &self,
        statement: QueryAs<'_, Postgres, T, PgArguments>,
    ) -> Result<Vec<T>, sqlx::Error>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        // A connection to a pooler keeps no plan, so that nothing is gained by keeping it.
        if self.pool.is_pooled() {
            return statement.fetch_all(&self.pool).await;
        }
        let statement = Repeatable::of(statement)?;
        let (mut kept, _place) =
            timeout(pool::ACQUIRE_TIMEOUT, self.take()).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))?;
        let connection: &mut PgConnection = &mut kept.connection;
        let found = rows(connection, &statement).await;
        match &found {
            Ok(_) => self.keep(kept),
            // What cut this one cut the others too, and not each is to cost somebody an error: the pool finds out which are alive.
            Err(error) if is_cut(error) => self.lock().clear(),
            Err(_) => {}
        }
        found?.iter().map(T::from_row).collect()
    }

    /// The row of a statement that has one.
    pub(super) async fn fetch_one<T>(&self, statement: QueryAs<'_, Postgres, T, PgArguments>) -> Result<T, sqlx::Error>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        self.fetch_all(statement).await?.pop().ok_or(sqlx::Error::RowNotFound)
    }

    async fn take(&self) -> Result<(Kept, SemaphorePermit<'_>), sqlx::Error> {
        let place = self.places.acquire().await.map_err(|_| sqlx::Error::PoolClosed)?;
        // One that was kept for long goes back before another is asked for, which may be the same.
        let kept = self.lock().pop().filter(|kept| kept.since.elapsed() < KEPT);
        let kept = match kept {
            Some(kept) => kept,
            None => Kept { connection: self.pool.acquire().await?, since: Instant::now() },
        };
        Ok((kept, place))
    }

    fn keep(&self, connection: Kept) {
        let mut kept = self.lock();
        if !self.places.is_closed() {
            kept.push(connection);
        }
    }

    /// Closes every connection, once those that are in use come back.
    pub(super) async fn close(&self) {
        self.places.close();
        self.lock().clear();
        self.pool.close().await;
    }

    /// Connections that are open, and those of them that nobody uses.
    pub(super) fn count(&self) -> (u32, usize) {
        (self.pool.size(), self.pool.num_idle() + self.lock().len())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.kept.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
