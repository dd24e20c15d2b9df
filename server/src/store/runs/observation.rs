//! Observations: the statement that ends a run records what it has observed of its tenant, if anything is new.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::domain::{Baseline, DesiredRecord, DriftCause, GbpState, LocationId, Stamped, WrittenSet};

/// What a run has observed of its tenant, to be recorded. `None` keeps the recorded value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SyncObservation {
    /// The location whose categories were read.
    pub location: LocationId,
    /// Why the tenant is, or is not, in sync.
    pub cause: DriftCause,
    /// See [`observation_digest`][crate::domain::observation_digest]; `None`: the observation failed.
    pub digest: Option<String>,
    /// Whether this is what the last successful real run left.
    pub matches_baseline: bool,
    /// The desired state, from the platform.
    pub desired: Option<DesiredRecord>,
    /// The state at Google.
    pub google: Option<GbpState>,
    /// The state that this run has left, if it wrote.
    pub baseline: Option<Baseline>,
    /// The set that this run has written to Google, if it has.
    pub written: Option<WrittenSet>,
    /// A write of this run to Google whose outcome is unknown.
    pub unresolved: Option<WrittenSet>,
    /// The write of an earlier run whose outcome was unknown, where this one found that it took effect.
    pub resolved: Option<Stamped<WrittenSet>>,
    /// When this run observed an overwrite of an earlier run's change.
    pub overwritten_at: Option<DateTime<Utc>>,
    /// Whether the tenant is in conflict from now on.
    pub in_conflict: bool,
}

impl SyncObservation {
    /// Returns a failed observation: earlier values are kept, but are not current.
    #[must_use]
    pub fn failed(location: LocationId) -> Self {
        Self {
            location,
            cause: DriftCause::Unknown,
            digest: None,
            matches_baseline: false,
            desired: None,
            google: None,
            baseline: None,
            written: None,
            unresolved: None,
            resolved: None,
            overwritten_at: None,
            in_conflict: false,
        }
    }
}

/// What was recorded of the last observation of a tenant's location: enough to tell whether there is anything new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastObservation {
    /// See [`observation_digest`][crate::domain::observation_digest]; `None`: the next observation has to record it.
    pub digest: Option<String>,
    /// Whether that is what the last successful real run left.
    pub matches_baseline: bool,
    /// Whether it failed.
    pub failed: bool,
}
