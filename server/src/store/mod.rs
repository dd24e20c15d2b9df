//! PostgreSQL: every SQL statement of the service, one typed function each.
//!
//! The time of a statement is a parameter, [`StatementTime`]: `None` is the database's own clock, the one clock that all replicas share; tests
//! pass another. A statement that finds its run in other hands changes nothing, and says so in its answer.

mod accept;
mod accept_all;
mod acceptor;
mod affected;
mod attempt;
mod batch;
mod batch_accept;
mod batch_cancel;
mod batch_expansion;
mod batch_reservation;
mod batch_runs;
mod batch_target;
mod batch_tenants;
mod bench;
mod bench_catalog;
mod bench_history;
mod cancel;
mod category_search;
mod connections;
mod count_map;
mod credentials;
mod database_facts;
mod error;
mod finish;
mod flag;
mod group_commit;
mod history;
mod idempotency_key;
mod import_categories;
mod import_tenants;
mod join;
mod known;
mod live;
pub mod migrations;
mod partial_aggregate;
mod platform_category;
mod platform_write;
mod pool;
mod probe;
mod queue;
mod ready_queue;
mod requirements;
mod retention;
mod rollup;
mod route;
mod row;
mod run_search;
mod run_search_query;
mod runs;
mod sample;
mod session;
mod sessions;
mod source;
mod stats;
mod sync_observation;
mod taxonomy;
mod tenant;
mod tenant_categories;
mod tenant_stats;
mod tenant_sync;
mod unanswered_claims;
mod window;

pub use accept::{Accepted, ID_BY_DATABASE, NewRun};
pub use acceptor::Acceptor;
pub use affected::{Affected, AffectedMapping, Effect};
pub use attempt::{AttemptProgress, BeginWriteResult};
pub use batch_accept::NewBatch;
pub use batch_expansion::{ChunkLimits, ChunkResult};
pub use batch_reservation::{BatchReservation, FullGuard};
pub use batch_target::BatchTarget;
pub use bench::{checkpoint, clear_runs, clear_up, everybody, fill, is_busy, queue, succeeded};
pub use bench_catalog::fill_catalog;
pub use bench_history::{Spread, count_history, end_one, fill_history, row_after, who_failed};
pub use category_search::MappedCategory;
pub use credentials::{CredentialsVersion, NewCredentials, NotedRejection};
pub use finish::{Finish, Finisher};
pub use flag::FlagUpdate;
pub use idempotency_key::{IdempotencyKey, RecordedResponse, arguments};
pub use import_categories::NewCategory;
pub use import_tenants::{ImportRejection, ImportResult, NewTenant};
pub use live::LiveFilter;
pub use platform_category::PlatformCategoryChange;
pub use platform_write::PlatformWriteResult;
pub use pool::{HISTORY_CONNECTIONS, connect};
pub use queue::{ClaimLimits, ClaimedRun, LeaseKey, LeaseStatus, ReclaimedRun};
pub use ready_queue::EnqueuedDue;
pub use requirements::{UnfitDatabase, check};
pub use retention::{ReductionStep, Retention};
pub use route::{Pools, Route};
pub use run_search::{RunFilter, RunSearchPage};
pub use sample::{Connections, QueueSample};
pub use session::{DEFAULT_SCHEMA, Session};
pub use source::TenantSnapshot;
pub use stats::{Counts, SyncStats};
pub use sync_observation::{LastObservation, SyncObservation};
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

use unanswered_claims::UnansweredClaims;

/// The time of a statement; `None` is the database's clock.
pub type StatementTime = Option<DateTime<Utc>>;

/// Everything that is stored. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    pool: ConnectionPool,
    /// For the statements that every run goes through.
    queue_pool: ConnectionPool,
    /// For the safety controls, and for nothing that a call asks for; see [`pool::flag_pool`].
    flag_pool: ConnectionPool,
    /// For what may read of every day of the history; see [`pool::history_pool`].
    history_pool: ConnectionPool,
    /// For the renewal of leases, which must not wait behind what is done under them.
    lease_pool: ConnectionPool,
    /// For changes of the schema that cannot run in a transaction.
    definition_pool: ConnectionPool,
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
        let (direct, direct_epochs, definition_pool) = if route.has_pooler() {
            let epochs = Epochs::default();
            let watchdog = Watchdog::new(route.direct_hosts(&[]), epochs.clone());
            (Some(watchdog), epochs.clone(), pool::single(route, &epochs))
        } else {
            (None, epochs.clone(), pool.clone())
        };
        Self {
            pool,
            queue_pool: pool::queue_pool(route, &epochs),
            flag_pool: pool::single(route, &direct_epochs),
            history_pool: pool::history_pool(route, &epochs),
            lease_pool: pool::single(route, &direct_epochs),
            definition_pool,
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
        let Self {
            pool,
            queue_pool,
            flag_pool,
            history_pool,
            lease_pool,
            definition_pool,
            watchdogs,
            unanswered: _,
            given,
        } = self;
        tokio::join!(
            pool.close(),
            queue_pool.close(),
            flag_pool.close(),
            history_pool.close(),
            lease_pool.close(),
            definition_pool.close()
        );
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
