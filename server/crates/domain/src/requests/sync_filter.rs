//! The filter of lists of sync states.

use crate::{DriftCause, OrganizationId, TenantId};

/// A filter of tenants by their sync state. Each field that is set is one more condition.
#[derive(Debug, Default, Clone)]
pub struct SyncFilter {
    /// Only these drift causes. Empty: any cause.
    pub causes: Vec<DriftCause>,
    /// Only this organization's.
    pub organization: Option<OrganizationId>,
    /// Only tenants in conflict.
    pub in_conflict: bool,
    /// Only the tenants that the caller may see; `None`: all of them.
    pub visible_tenants: Option<Vec<TenantId>>,
}
