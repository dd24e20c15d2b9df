//! Sync states of tenants, and operators' decisions about them.

use std::collections::BTreeSet;

use super::{App, Page, PageRequest, recorded_responses::IdempotentRequest, visible};
use crate::{
    domain::{
        Caller, Decision, DesiredRecord, DesiredState, DriftCause, DriftInputs, Flag, GbpRead, Gcid, GuardRule,
        MappingState, RegionCode, Run, RunKind, RunOptions, Strategy, SyncFilter, Tenant, TenantId, TenantSync,
        TraceContext, View, named_as_observed,
    },
    error::Error,
    store::NewDecision,
    wake::WakeUp,
};

/// A validated request to decide about a tenant.
#[derive(Debug, Clone)]
pub struct DecideRequest {
    /// The tenant.
    pub tenant: TenantId,
    /// The decision.
    pub decision: Decision,
    /// Guards that are overridden for the run that executes it.
    pub override_guards: BTreeSet<GuardRule>,
    /// The reason for the decision.
    pub reason: String,
    /// Idempotency key, if the decision starts a run.
    pub request_id: Option<String>,
    /// The trace that the request belongs to.
    pub traceparent: Option<TraceContext>,
}

impl App {
    /// Gets a tenant's sync state: the current state of the platform's side, and Google's as a run last observed it.
    ///
    /// # Errors
    /// [`Error::NotFound`], or a database error.
    pub async fn tenant_sync(&self, caller: &Caller, tenant: &TenantId) -> Result<TenantSync, Error> {
        visible(caller, tenant)?;
        let tenant = self.store.tenant(tenant).await?;
        let known = self.store.tenant_sync(&tenant.id).await?;
        self.as_it_is_now(&tenant, known).await
    }

    async fn as_it_is_now(&self, tenant: &Tenant, known: Option<TenantSync>) -> Result<TenantSync, Error> {
        let platform = self.store.platform_catalog(&tenant.id, &[]).await?;
        let desired = DesiredState::of(&platform.tenants_categories(), self.runs.max_additional);
        let retired = self.retired(tenant, &desired).await?;
        let last_success_at = self.store.last_success(&tenant.id).await?;
        let mut sync = known.unwrap_or_else(|| TenantSync::unseen(tenant));
        sync.cause = match (sync.cause, &sync.google) {
            (DriftCause::Unknown, _) => DriftCause::Unknown,
            // A run succeeded before observations were recorded.
            (_, None) if sync.cause_at.is_none() && last_success_at.is_some() => DriftCause::Unknown,
            (_, google) => {
                let google = google.as_ref().map_or(GbpRead::NotRead, GbpRead::Read);
                let baseline = sync.baseline.as_ref().map(|left| &left.what);
                DriftInputs { desired: &desired, google, baseline, retired: &retired }.cause()
            }
        };
        sync.last_success_at = last_success_at;
        let error = desired.set.as_ref().err().map(ToString::to_string);
        let observed = sync.google.as_ref().and_then(|google| google.merchant.as_ref());
        let set = desired.set.ok().map(|set| named_as_observed(set, observed));
        sync.desired = Some(DesiredRecord { set, error, retired });
        Ok(sync)
    }

    /// Returns the desired categories that Google's list no longer contains.
    async fn retired(&self, tenant: &Tenant, desired: &DesiredState) -> Result<BTreeSet<Gcid>, Error> {
        let gcids: Vec<&Gcid> = desired.gcids().collect();
        let Ok(region) = RegionCode::parse(&tenant.region_code) else { return Ok(BTreeSet::new()) };
        let taxonomy_lookup = self.store.taxonomy_lookup(&gcids).await?;
        let is_retired = |gcid: &&&Gcid| taxonomy_lookup.of(gcid, Some(&region)) == MappingState::Retired;
        Ok(gcids.iter().filter(is_retired).map(|gcid| (*gcid).clone()).collect())
    }

    /// Lists the sync states of tenants that a run has observed, by tenant, as last observed.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an organization of which the caller may see nothing, or a database error.
    pub async fn tenant_syncs(
        &self,
        caller: &Caller,
        filter: SyncFilter,
        page: PageRequest,
    ) -> Result<Page<TenantSync>, Error> {
        let filter = SyncFilter { visible_tenants: caller.scope.tenants().map(<[_]>::to_vec), ..filter };
        let after = page.after.as_deref().unwrap_or_default();
        let found = self.store.tenant_syncs(&filter, after, page.limit()).await?;
        if let (Some(organization), true) = (&filter.organization, found.is_empty()) {
            self.require_known_organization(caller, organization).await?;
        }
        Ok(page.page(found, |sync| sync.tenant.to_string()))
    }

    /// Records a decision about a tenant. When this returns, the decision is durable, and so is the run that executes
    /// it, if it needs one. Until that run has succeeded, the tenant stays in conflict if it was.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NoLocation`], [`Error::FeatureDisabled`] for a run, [`Error::RunInProgress`],
    /// [`Error::RequestIdReused`], or a database error.
    pub async fn decide(&self, caller: &Caller, request: DecideRequest) -> Result<(TenantSync, Option<Run>), Error> {
        let asked = IdempotentRequest::new(caller, request.request_id.as_deref(), || request.arguments());
        let tenant = request.tenant.clone();
        match self.decide_now(caller, request, asked.clone()).await {
            Err(error) => {
                visible(caller, &tenant)?;
                let first = self.recorded_response_or(caller, asked, error).await?;
                Ok((self.tenant_sync(caller, &tenant).await?, first.run))
            }
            decided => decided,
        }
    }

    async fn decide_now(
        &self,
        caller: &Caller,
        request: DecideRequest,
        asked: Option<IdempotentRequest>,
    ) -> Result<(TenantSync, Option<Run>), Error> {
        let DecideRequest { tenant: id, decision, override_guards, reason, request_id: _, traceparent } = request;
        let before = self.tenant_sync(caller, &id).await?;
        let request = asked.as_ref().map(|asked| (asked.key(), asked.request_id.clone()));
        let strategy = match decision {
            Decision::AcceptGoogle => Some(Strategy::GbpToPlatform),
            Decision::PushAgain => Some(Strategy::PlatformToGbp),
            Decision::Ignore => None,
        };
        let mut new = None;
        if let Some(strategy) = strategy {
            self.require(Flag::CategoryMirroring, &id).await?;
            // Google's own edits are not in the merchant's record.
            let is_googles = decision == Decision::AcceptGoogle && before.cause == DriftCause::GoogleEdited;
            let options = RunOptions {
                view: is_googles.then_some(View::Public),
                override_reason: (!override_guards.is_empty()).then(|| reason.clone()),
                overridden_guards: override_guards,
                decision: Some(decision),
                ..RunOptions::default()
            };
            let kind = RunKind { strategy, dry_run: false };
            new = Some(self.new_run(caller, id.clone(), kind, options, asked, traceparent));
        }
        let decision =
            NewDecision { tenant: &id, decision, caller: &caller.subject, reason: &reason, request, run: new.as_ref() };
        let decided = self.store.decide(None, &decision).await;
        let (sync, accepted) = decided.inspect_err(|error| self.wake_runner_if(error.reason() == "RUN_IN_PROGRESS"))?;
        tracing::info!(
            tenant_id = %id, decision = %decision.decision, caller = %caller.subject, reason, cause = %before.cause,
            "decided about a tenant"
        );
        if let Some(accepted) = accepted.as_ref().filter(|accepted| accepted.created) {
            self.wake.send(WakeUp::RunsReady);
            self.wake.send(WakeUp::RunsChanged([accepted.run.id].into()));
        }
        let tenant = self.store.tenant(&id).await?;
        Ok((self.as_it_is_now(&tenant, Some(sync)).await?, accepted.map(|accepted| accepted.run)))
    }
}

impl DecideRequest {
    /// Returns all fields. The strategy and the view of the run are derived from the tenant's state, so they are not
    /// included.
    fn arguments(&self) -> Vec<String> {
        let name = format!("{}/sync", self.tenant.resource_name());
        let mut arguments = vec!["decide".to_owned(), name, self.decision.to_string(), self.reason.clone()];
        arguments.extend(self.override_guards.iter().map(|guard| format!("override:{guard}")));
        arguments
    }
}
