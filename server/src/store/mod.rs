//! PostgreSQL: every SQL statement of the service, one typed function each. Statements of more than some 20 lines are files beside their
//! functions.
//!
//! The time of a statement is a parameter, [`StatementTime`]: `None` is the database's own clock, the one clock that
//! all replicas share; tests pass another. A statement whose fencing token is no longer current changes nothing, and
//! its result says so.
//!
//! Imports go one way. `connections` knows no table. [`Store`] (`handle`) holds the pools; on it stand, in this order,
//! `history`, `stats` and `catalog`, then `runs`, then `tenants`, `import` and `batches`, and `commit` for groups.
//! Files import from the file that defines what they use; this module and those of the folders only wire.

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
mod unanswered_claims;

pub use self::{
    batches::{
        chunk::{ChunkLimits, ChunkResult},
        new_batch::NewBatch,
        reservation::{BatchReservation, FullGuard},
        target::BatchTarget,
    },
    bench::{
        catalog::fill_catalog,
        checkpoint, clear_runs, clear_up, everybody, fill,
        history::{Spread, count_history, end_one, fill_history, row_after, who_failed},
        is_busy, queue, set_counting, succeeded,
    },
    catalog::{search::MappedCategory, taxonomy::NewTaxonomy},
    commit::{acceptor::Acceptor, finisher::Finisher},
    connections::{
        ConnectionPool,
        pools::{HISTORY_CONNECTIONS, Pools, connect},
        requirements::{UnfitDatabase, check},
        route::Route,
        session::{DEFAULT_SCHEMA, Session},
    },
    credentials::{
        rejection::{CredentialsVersion, NotedRejection},
        stored::NewCredentials,
    },
    flags::FlagUpdate,
    handle::Store,
    history::{
        retention::{ReductionStep, Retention},
        search::RunSearchPage,
    },
    idempotency_key::{IdempotencyKey, RecordedResponse, arguments},
    import::tenants::{ImportRejection, ImportResult},
    runs::{
        accept::single::{Accepted, ID_BY_DATABASE, NewRun},
        attempt::{
            finish::Finish,
            platform_write::PlatformWriteResult,
            progress::{AttemptProgress, BeginWriteResult},
        },
        live::LiveFilter,
        observation::{LastObservation, SyncObservation},
        queue::{
            claim::{ClaimLimits, ClaimedRun},
            lease::{LeaseKey, LeaseStatus},
            ready_queue::EnqueuedDue,
            reclaim::ReclaimedRun,
            sample::{Connections, QueueSample},
        },
    },
    statement::StatementTime,
    tenants::{decide::NewDecision, snapshot::TenantSnapshot},
};
