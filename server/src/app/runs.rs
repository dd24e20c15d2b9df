//! Reads and cancels runs.

use std::{fmt, time::Duration};

use super::{App, Page, PageRequest, filter, visible};
use crate::{
    domain::{BatchId, Caller, OrganizationId, Run, RunFilter, RunId, Strategy, SyncStats, TenantId},
    error::{Error, Resource},
    wake::WakeUp,
};

/// The name of a run. Without a tenant, it is `tenants/-/runs/{run}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunName {
    /// The tenant, if the name has one.
    pub tenant: Option<TenantId>,
    /// The run.
    pub id: RunId,
}

impl RunName {
    /// Parses `tenants/{tenant}/runs/{run}` or `tenants/-/runs/{run}`.
    ///
    /// # Errors
    /// A text that describes the form of a name.
    pub fn parse(name: &str) -> Result<Self, &'static str> {
        let parse = || {
            let (tenant, run) = name.strip_prefix("tenants/")?.split_once("/runs/")?;
            let tenant = if tenant == "-" { None } else { Some(TenantId::parse(tenant).ok()?) };
            // Only the form with hyphens, so that each run has exactly one name.
            let id = RunId::try_parse(run).ok().filter(|id| id.to_string() == run)?;
            Some(Self { tenant, id })
        };
        parse().ok_or("must be `tenants/{tenant}/runs/{run}` or `tenants/-/runs/{run}`, the run a UUID in lower case")
    }

    fn not_found(&self) -> Error {
        Error::NotFound(Resource::Run, self.to_string())
    }

    fn admits(&self, caller: &Caller, run: &Run) -> bool {
        caller.scope.allows(&run.tenant) && self.tenant.as_ref().is_none_or(|tenant| *tenant == run.tenant)
    }
}

impl fmt::Display for RunName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tenants/{}/runs/{}", self.tenant.as_ref().map_or("-", TenantId::as_str), self.id)
    }
}

impl App {
    /// Gets a complete run.
    ///
    /// # Errors
    /// [`Error::NotFound`], or a database error.
    pub async fn run(&self, caller: &Caller, name: &RunName) -> Result<Run, Error> {
        let run = self.store.run(name.id).await?;
        run.filter(|run| name.admits(caller, run)).ok_or_else(|| name.not_found())
    }

    /// Gets the most recently accepted run of a tenant and strategy, even if the tenant has been deleted.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the run, or for a tenant that has never existed, or a database error.
    pub async fn last_run(&self, caller: &Caller, tenant: &TenantId, strategy: Strategy) -> Result<Run, Error> {
        visible(caller, tenant)?;
        if let Some(run) = self.store.last_run(tenant, strategy).await? {
            return Ok(run);
        }
        self.store.tenant(tenant).await?;
        Err(Error::NotFound(Resource::Run, format!("a run of tenants/{tenant} with strategy {strategy}")))
    }

    /// Cancels a run: a queued one immediately, a running one before it writes. A terminal run is left unchanged.
    ///
    /// # Errors
    /// [`Error::NotFound`], or a database error.
    pub async fn cancel_run(&self, caller: &Caller, name: &RunName) -> Result<Run, Error> {
        let before = self.run(caller, name).await?;
        let Some(run) = self.store.cancel(None, before.id).await? else {
            return self.run(caller, name).await;
        };
        self.wake.send(WakeUp::CancelRequested(run.id));
        self.wake.send(WakeUp::RunsChanged([run.id].into()));
        tracing::info!(run_id = %run.id, tenant_id = %run.tenant, caller = %caller.subject, state = %run.state, "cancelled a run");
        Ok(run)
    }

    /// Lists runs, newest first, without plans and written changes.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a tenant that is out of scope, or that does not exist and has no runs, and for an
    /// organization or batch of which the caller may see nothing; [`Error::InvalidPageToken`], or a database error.
    pub async fn sync_logs(&self, caller: &Caller, wanted: RunFilter, page: PageRequest) -> Result<Page<Run>, Error> {
        let RunFilter { tenant, visible_tenants, .. } = self.of_tenant(caller, wanted.tenant.clone())?;
        let filter = RunFilter { tenant, visible_tenants, ..wanted };
        let before = page.after.as_deref().map(RunId::try_parse).transpose().map_err(|_| Error::InvalidPageToken)?;
        let found = self.store.logs(&filter, before, page.limit()).await?;
        if let (Some(tenant), true) = (&filter.tenant, found.runs.is_empty()) {
            self.require_known(caller, tenant).await?;
        }
        if let (Some(organization), true) = (&filter.organization, found.runs.is_empty()) {
            self.require_known_organization(caller, organization).await?;
        }
        if let (Some(batch), true) = (filter.batch, found.runs.is_empty()) {
            self.require_known_batch(caller, batch).await?;
        }
        Ok(page.page_or_rest(found.runs, found.rest.map(|id| id.to_string()), |run| run.id.to_string()))
    }

    /// Counts the runs that ended in the last `window`, and live runs.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a tenant that is out of scope, or that does not exist and has no runs, and for an
    /// organization of which the caller may see nothing; or a database error.
    pub async fn sync_stats(
        &self,
        caller: &Caller,
        tenant: Option<TenantId>,
        organization: Option<OrganizationId>,
        window: Duration,
    ) -> Result<SyncStats, Error> {
        let filter = RunFilter { organization, ..self.of_tenant(caller, tenant)? };
        let stats = self.store.stats(None, &filter, window).await?;
        if let (Some(tenant), 0) = (&filter.tenant, stats.total) {
            self.require_known(caller, tenant).await?;
        }
        if let (Some(organization), 0) = (&filter.organization, stats.total) {
            self.require_known_organization(caller, organization).await?;
        }
        Ok(stats)
    }

    /// Rejects a tenant that does not exist and has no runs. Only called if nothing was found, so that other requests
    /// cost no more.
    async fn require_known(&self, caller: &Caller, tenant: &TenantId) -> Result<(), Error> {
        let is_known = self.name_checks.check(caller, self.store.is_known_tenant(tenant)).await?;
        is_known.then_some(()).ok_or_else(|| Error::NotFound(Resource::Tenant, tenant.resource_name()))
    }

    /// Rejects an organization without tenants and runs that the caller may see. Only called if nothing was found.
    pub(super) async fn require_known_organization(
        &self,
        caller: &Caller,
        organization: &OrganizationId,
    ) -> Result<(), Error> {
        let check = self.store.is_known_organization(organization, caller.scope.tenants());
        let is_known = self.name_checks.check(caller, check).await?;
        is_known.then_some(()).ok_or_else(|| Error::NotFound(Resource::Organization, organization.resource_name()))
    }

    /// Rejects a batch that the caller may not see and that has no run that the caller may see. Only called if nothing
    /// was found.
    async fn require_known_batch(&self, caller: &Caller, batch: BatchId) -> Result<(), Error> {
        let Err(unseen) = self.batch(caller, batch).await else { return Ok(()) };
        let any = RunFilter { batch: Some(batch), ..filter(caller) };
        let is_known = !self.store.logs(&any, None, 1).await?.runs.is_empty();
        is_known.then_some(()).ok_or(unseen)
    }

    fn of_tenant(&self, caller: &Caller, tenant: Option<TenantId>) -> Result<RunFilter, Error> {
        if let Some(tenant) = &tenant {
            visible(caller, tenant)?;
        }
        Ok(RunFilter { tenant, ..filter(caller) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_has_one_name() {
        let id = "0190163d-8694-739b-aea5-966c26f8ad91";
        let name = RunName::parse(&format!("tenants/a/runs/{id}")).expect("valid");
        assert_eq!(name.tenant.as_ref().map(TenantId::as_str), Some("a"));
        assert_eq!(RunName::parse(&format!("tenants/-/runs/{id}")).expect("valid").tenant, None);
        for bad in [
            format!("runs/{id}"),
            format!("tenants//runs/{id}"),
            format!("tenants/a/runs/{}", id.to_uppercase()),
            format!("tenants/a/runs/{{{id}}}"),
            format!("tenants/a/runs/{id}/x"),
            "tenants/a/runs/1".to_owned(),
            String::new(),
        ] {
            assert!(RunName::parse(&bad).is_err(), "{bad}");
        }
    }
}
