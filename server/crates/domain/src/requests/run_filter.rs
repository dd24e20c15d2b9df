//! The filter of lists and statistics of runs.

use chrono::{DateTime, Utc};

use crate::{BatchId, OrganizationId, RunState, Strategy, TenantId};

/// A filter of runs. Each field that is set is one more condition.
#[derive(Debug, Default, Clone)]
pub struct RunFilter {
    /// Only this tenant's.
    pub tenant: Option<TenantId>,
    /// Only this batch's.
    pub batch: Option<BatchId>,
    /// Only those that were this organization's when they were accepted.
    pub organization: Option<OrganizationId>,
    /// Only of this strategy.
    pub strategy: Option<Strategy>,
    /// Only in these states; none named: in all.
    pub states: Vec<RunState>,
    /// Only dry runs, or only real ones.
    pub dry_run: Option<bool>,
    /// Only with this reason.
    pub reason: Option<String>,
    /// Only asked for by this caller.
    pub caller: Option<String>,
    /// Only accepted at this time or later, by their ids.
    pub accepted_from: Option<DateTime<Utc>>,
    /// Only accepted before this time, by their ids.
    pub accepted_before: Option<DateTime<Utc>>,
    /// Only ended ones that found differences.
    pub out_of_sync: bool,
    /// Only ended at this time or later.
    pub ended_from: Option<DateTime<Utc>>,
    /// Only runs of the tenants that the caller may see; `None`: of all of them.
    pub visible_tenants: Option<Vec<TenantId>>,
}

impl RunFilter {
    /// Returns the tenants that meet the filter. `None`: all tenants do.
    #[must_use]
    pub fn tenants(&self) -> Option<Vec<&str>> {
        let is_wanted = |tenant: &&TenantId| self.tenant.as_ref().is_none_or(|wanted| wanted == *tenant);
        match (&self.visible_tenants, &self.tenant) {
            (None, None) => None,
            (None, Some(tenant)) => Some(vec![tenant.as_str()]),
            (Some(visible_tenants), _) => {
                Some(visible_tenants.iter().filter(is_wanted).map(TenantId::as_str).collect())
            }
        }
    }
}
