//! How a tenant's two sides stand, as it is kept.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    Baseline, CategorySet, ConflictHistory, DriftCause, GbpState, Gcid, LocationId, OrganizationId, RunId, TenantId,
};

/// A run, and when it did what is told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunStamp {
    /// The run.
    pub run: RunId,
    /// When.
    pub at: DateTime<Utc>,
}

/// What the platform wants of Google, as it is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredRecord {
    /// The set; `None`: nothing that could be written.
    pub set: Option<CategorySet>,
    /// Why there is no set.
    pub error: Option<String>,
    /// What of it Google's list has no more.
    pub retired: BTreeSet<Gcid>,
}

/// What a run left, or wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamped<T> {
    /// What.
    #[serde(flatten)]
    pub what: T,
    /// By whom.
    #[serde(flatten)]
    pub by: RunStamp,
}

/// Google's set after a write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenSet {
    /// The set.
    pub set: CategorySet,
}

/// How a tenant's two sides stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantSync {
    /// The tenant.
    pub tenant: TenantId,
    /// Its organization.
    pub organization: Option<OrganizationId>,
    /// The location; `None`: the tenant has none.
    pub location: Option<LocationId>,
    /// Why it is, or is not, in sync.
    pub cause: DriftCause,
    /// Since when that is the cause; `None`: no run has looked yet.
    pub cause_at: Option<DateTime<Utc>>,
    /// Who found what is here.
    pub observed: Option<RunStamp>,
    /// Whose look failed, while the cause is unknown.
    pub observe_failed: Option<RunStamp>,
    /// What the platform wants.
    pub desired: Option<DesiredRecord>,
    /// What Google has.
    pub google: Option<GbpState>,
    /// What the last successful real run left.
    pub baseline: Option<Stamped<Baseline>>,
    /// What a run last wrote to Google.
    pub written: Option<Stamped<WrittenSet>>,
    /// The last write to Google whose outcome is unknown, until a run observes the location.
    pub unresolved: Option<Stamped<WrittenSet>>,
    /// Whose value it is.
    pub conflicts: ConflictHistory,
    /// When a real run last succeeded; only where one tenant was asked for.
    pub last_success_at: Option<DateTime<Utc>>,
}

impl TenantSync {
    /// A tenant that no run has looked at.
    #[must_use]
    pub fn unseen(tenant: &crate::Tenant) -> Self {
        Self {
            tenant: tenant.id.clone(),
            organization: tenant.organization.clone(),
            location: tenant.location.clone(),
            cause: DriftCause::NeverSynced,
            cause_at: None,
            observed: None,
            observe_failed: None,
            desired: None,
            google: None,
            baseline: None,
            written: None,
            unresolved: None,
            conflicts: ConflictHistory::default(),
            last_success_at: None,
        }
    }
}
