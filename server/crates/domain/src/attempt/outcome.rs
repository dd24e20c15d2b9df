//! How an attempt ended.

use super::super::RunResult;

/// How the way of an attempt ended, before anything is recorded of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// With a result for its run. A failure may be one that another attempt follows.
    Ended(RunResult),
    /// It may not go on with what it has read, and has written nothing.
    Superseded,
    /// The database was away.
    Interrupted,
    /// Another worker may hold the run by now.
    LeaseLost,
}
