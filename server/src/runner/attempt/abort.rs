//! Why an attempt goes no further.

use crate::{
    domain::{Failure, Skip},
    error::Error,
};

/// Why an attempt goes no further.
#[derive(Debug)]
pub(in crate::runner) enum Abort {
    /// It failed because of the tenant, of Google, or of what the two say of each other.
    Failed(Failure),
    /// The run is not to be executed.
    Skipped(Skip),
    /// A caller has cancelled the run, and the attempt had not begun to write.
    Cancelled,
    /// The lease is lost: nothing more may be written, not even about the run.
    LeaseLost,
    /// A request has joined the run since its source was read. Nothing was written. The request was promised what it asked for as things
    /// were when it joined, so another attempt begins anew, and this one is not counted.
    Superseded,
    /// The service's own trouble: the database is away, or there is a defect.
    ServiceError(Error),
}

impl From<Failure> for Abort {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Skip> for Abort {
    fn from(skip: Skip) -> Self {
        Self::Skipped(skip)
    }
}

impl From<Error> for Abort {
    fn from(error: Error) -> Self {
        Self::ServiceError(error)
    }
}
