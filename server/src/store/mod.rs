//! PostgreSQL: every SQL statement of the service, one typed function each.
//!
//! The time of a statement is a parameter, [`Now`]: `None` is the database's own clock, the one clock that all replicas share; tests
//! pass another. A statement that finds its run in other hands changes nothing, and says so in its answer.

mod accept;
mod accept_all;
mod acceptor;
mod affected;
mod attempt;
mod batch;
mod batch_accept;
mod batch_cancel;
mod batch_place;
mod batch_target;
mod batch_tenants;
mod batch_work;
mod bench;
mod bench_catalog;
mod bench_history;
mod cancel;
mod category_search;
mod connections;
mod credentials;
mod ending;
mod error;
mod expand;
mod facts;
mod finish;
mod flag;
mod found;
mod group;
mod import_categories;
mod import_tenants;
mod join;
mod known;
mod line;
mod live;
mod log_query;
mod logs;
pub mod migrations;
mod part;
mod platform_category;
mod platform_write;
mod pool;
mod probe;
mod queue;
mod request_key;
mod requirements;
mod retention;
mod rollup;
mod route;
mod row;
mod runs;
mod sample;
mod session;
mod sessions;
mod source;
mod stats;
mod tally;
mod taxonomy;
mod tenant;
mod tenant_categories;
mod tenant_stats;
mod tenant_sync;
mod unanswered;
mod window;

pub use accept::{Accepted, ID_BY_DATABASE, NewRun};
pub use acceptor::Acceptor;
pub use affected::{Affected, AffectedMapping, Effect};
pub use attempt::{BeginWrite, Progress};
pub use batch_accept::NewBatch;
pub use batch_place::{BatchPlace, FullGuard};
pub use batch_target::BatchTarget;
pub use batch_work::{Chunk, Worked};
pub use bench::{checkpoint, clear_up, everybody, fill, is_busy, queue, succeeded, sweep};
pub use bench_catalog::fill_catalog;
pub use bench_history::{Spread, count_history, end_one, fill_history, row_after, who_failed};
pub use category_search::MappedCategory;
pub use credentials::{CredentialsMark, NewCredentials, NotedRejection};
pub use finish::{Finish, Finisher};
pub use flag::FlagUpdate;
pub use found::{Found, LastLook};
pub use import_categories::NewCategory;
pub use import_tenants::{Imported, NewTenant, Refused};
pub use line::Promoted;
pub use live::LiveFilter;
pub use logs::{LogFilter, Logs};
pub use platform_category::PlatformCategoryChange;
pub use platform_write::PlatformWritten;
pub use pool::{HISTORY_CONNECTIONS, connect};
pub use queue::{Claimed, Heard, Held, Rescued, Room};
pub use request_key::{FirstAnswer, RequestKey, arguments};
pub use requirements::{Unfit, check};
pub use retention::{Retention, Shortened};
pub use route::{Pools, Route};
pub use sample::{Connections, QueueSample};
pub use session::{DEFAULT_SCHEMA, Session};
pub use source::Source;
pub use stats::{Counts, SyncStats};
pub use taxonomy::NewTaxonomy;
pub use tenant::TenantChange;
pub use tenant_sync::{NewDecision, SyncFilter};

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
pub use connections::ConnectionPool;
use connections::{Epochs, Watchdog};
use sqlx::{PgPool, postgres::types::PgInterval};

use unanswered::UnansweredClaims;

/// The time of a statement; `None` is the database's clock.
pub type Now = Option<DateTime<Utc>>;

/// Everything that is stored. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    pool: ConnectionPool,
    /// For the statements that every run goes through.
    hot: ConnectionPool,
    /// For the safety controls, and for nothing that a call asks for; see [`pool::apart`].
    apart: ConnectionPool,
    /// For what may read of every day of the history; see [`pool::planned`].
    planned: ConnectionPool,
    /// For the renewal of leases, which must not wait behind what is done under them.
    leases: ConnectionPool,
    /// For changes of the schema that cannot run in a transaction.
    definitions: ConnectionPool,
    watchdogs: Watchdogs,
    unanswered: UnansweredClaims,
    /// What the settings are from.
    given: Option<PgPool>,
}

/// The watchdogs of the connections of a store, one for each way to the database: a pooler may lead to another server for a while.
#[derive(Debug, Clone)]
struct Watchdogs {
    own: Watchdog,
    /// Of the direct way, where `own` is that through a pooler.
    direct: Option<Watchdog>,
    /// Whether the last ping failed.
    is_away: Arc<AtomicBool>,
}

impl Store {
    /// A store over a database that is migrated, with the settings of these pools and connections of its own.
    #[must_use]
    pub fn new(pools: impl Into<Pools>) -> Self {
        let pools = pools.into();
        let route = pools.route();
        let epochs = Epochs::default();
        let pool = ConnectionPool::new(route.hosts(&[]), epochs.clone(), pool::shared(pools.max_connections()));
        let own = Watchdog::new(route.hosts(&[]), epochs.clone());
        let (direct, direct_epochs, definitions) = if route.has_pooler() {
            let epochs = Epochs::default();
            let watchdog = Watchdog::new(route.direct_hosts(&[]), epochs.clone());
            (Some(watchdog), epochs.clone(), pool::apart(route, &epochs))
        } else {
            (None, epochs.clone(), pool.clone())
        };
        Self {
            pool,
            hot: pool::hot(route, &epochs),
            apart: pool::apart(route, &direct_epochs),
            planned: pool::planned(route, &epochs),
            leases: pool::apart(route, &direct_epochs),
            definitions,
            watchdogs: Watchdogs { own, direct, is_away: Arc::default() },
            unanswered: UnansweredClaims::default(),
            given: pools.given(),
        }
    }

    /// How many connections calls share.
    #[must_use]
    pub fn max_connections(&self) -> u32 {
        self.pool.max_connections()
    }

    /// Whether the database did not answer the last [`Store::ping`].
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.watchdogs.is_away.load(Ordering::Relaxed)
    }

    /// Closes every connection.
    pub async fn close(&self) {
        let Self { pool, hot, apart, planned, leases, definitions, watchdogs, unanswered: _, given } = self;
        tokio::join!(pool.close(), hot.close(), apart.close(), planned.close(), leases.close(), definitions.close());
        watchdogs.close().await;
        if let Some(given) = given {
            given.close().await;
        }
    }

    /// Checks that the database takes writes. Called again and again it is the watchdog of every connection: statements that wait for a
    /// server that is silent, or is not the one that answers now, end with an error.
    ///
    /// # Errors
    /// [`crate::error::Error::DatabaseUnavailable`] when it does not.
    pub async fn ping(&self) -> Result<(), crate::error::Error> {
        Ok(self.watchdogs.ping().await?)
    }
}

impl Watchdogs {
    async fn ping(&self) -> Result<(), sqlx::Error> {
        let pinged = match &self.direct {
            Some(direct) => {
                // Both to the end: each of them ends what waits on its way.
                let (own, direct) = tokio::join!(self.own.ping(), direct.ping());
                own.and(direct)
            }
            None => self.own.ping().await,
        };
        self.is_away.store(pinged.is_err(), Ordering::Relaxed);
        pinged
    }

    async fn close(&self) {
        self.own.close().await;
        if let Some(direct) = &self.direct {
            direct.close().await;
        }
    }
}

/// A duration as PostgreSQL counts it: to the microsecond, what is below it cut off.
fn interval(duration: Duration) -> PgInterval {
    PgInterval { months: 0, days: 0, microseconds: i64::try_from(duration.as_micros()).unwrap_or(i64::MAX) }
}
