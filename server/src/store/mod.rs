//! PostgreSQL: every SQL statement of the service, one typed function each.
//!
//! The time of a statement is a parameter, [`StatementTime`]: `None` is the database's own clock, the one clock that all replicas share; tests
//! pass another. A statement that finds its run in other hands changes nothing, and says so in its answer.

mod batches;
mod bench;
mod catalog;
mod commit;
mod connections;
mod credentials;
mod error;
mod flags;
mod handle;
mod history;
mod idempotency_key;
mod import;
pub mod migrations;
mod row;
mod runs;
mod statement;
mod stats;
mod tenants;

pub use self::{
    batches::{
        accept::NewBatch,
        expansion::{ChunkLimits, ChunkResult},
        reservation::{BatchReservation, FullGuard},
        target::BatchTarget,
    },
    bench::{
        catalog::fill_catalog,
        checkpoint, clear_runs, clear_up, everybody, fill,
        history::{Spread, count_history, end_one, fill_history, row_after, who_failed},
        is_busy, queue, succeeded,
    },
    catalog::{
        affected::{Affected, AffectedMapping, Effect},
        platform_category::PlatformCategoryChange,
        search::MappedCategory,
        taxonomy::NewTaxonomy,
    },
    commit::acceptor::Acceptor,
    connections::{
        ConnectionPool,
        limits::{HISTORY_CONNECTIONS, connect},
        requirements::{UnfitDatabase, check},
        route::{Pools, Route},
        session::{DEFAULT_SCHEMA, Session},
    },
    credentials::{CredentialsVersion, NewCredentials, NotedRejection},
    flags::FlagUpdate,
    handle::Store,
    history::{
        retention::{ReductionStep, Retention},
        search::{RunFilter, RunSearchPage},
    },
    idempotency_key::{IdempotencyKey, RecordedResponse, arguments},
    import::{
        categories::NewCategory,
        tenants::{ImportRejection, ImportResult, NewTenant},
    },
    runs::{
        accept::single::{Accepted, ID_BY_DATABASE, NewRun},
        attempt::{
            finish::{Finish, Finisher},
            observation::{LastObservation, SyncObservation},
            platform_write::PlatformWriteResult,
            progress::{AttemptProgress, BeginWriteResult},
        },
        live::LiveFilter,
        queue::{
            claim::{ClaimLimits, ClaimedRun, LeaseKey, LeaseStatus, ReclaimedRun},
            ready::EnqueuedDue,
            sample::{Connections, QueueSample},
        },
    },
    statement::StatementTime,
    stats::sync_stats::{Counts, SyncStats},
    tenants::{
        snapshot::TenantSnapshot,
        sync::{NewDecision, SyncFilter},
        tenant::TenantChange,
    },
};
