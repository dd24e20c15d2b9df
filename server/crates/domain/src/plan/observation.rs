//! What an attempt has observed of its tenant's two sides, as a later attempt of the same run needs it.

use serde::{Deserialize, Serialize};

use crate::{DesiredState, DriftCause, GbpState};

/// Both sides of a tenant as an attempt observed them before it wrote. Recorded with the write, so that an attempt that only finds the
/// write done records the same baseline, cause and overwrite as the attempt that made it would have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// What the platform wants of Google.
    pub desired: Option<DesiredState>,
    /// What Google has; `None`: it was not read.
    pub google: Option<GbpState>,
    /// What the platform wants once the attempt has written to it.
    pub after: Option<DesiredState>,
    /// Why the sides differ.
    pub cause: DriftCause,
    /// Whether another actor had undone what the last run wrote.
    pub is_overwrite: bool,
}
