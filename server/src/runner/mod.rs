//! Executes runs: claims them, keeps their leases, and brings each to its end.
//!
//! Any number of runners share one table. None leads: a run whose holder died is returned to the queue by any runner that finds its lease
//! expired. The parts, each of which knows only those below it:
//!
//! - `lifecycle` starts and stops the others.
//! - `dispatcher` claims runs, as many as there is room for, and starts an attempt of each.
//! - `execution` is one attempt: `execution::way::follow` shows the whole way of it.
//! - `strategies` know the two sides: what is read, planned and written. They never call back into the execution.
//! - `attempt` is what an attempt has: a read-only context, a journal, and what it may use of Google.
//! - `leases`, `circuit_breaker` and `maintenance` work for all attempts of the process.

mod attempt;
mod circuit_breaker;
mod config;
mod context;
mod dispatcher;
mod execution;
mod feature_skip;
mod leases;
mod lifecycle;
mod maintenance;
mod strategies;

pub use self::maintenance::CHUNK_LIMITS;
pub use self::{config::RunnerConfig, lifecycle::Runner};
