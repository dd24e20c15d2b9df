//! Requests about sync states, and decisions about tenants.

use category_mirror_proto::v1::{self, tenant_service_client::TenantServiceClient};
use uuid::Uuid;

use crate::{Client, SyncCause, SyncDecision, TenantSync, TenantSyncDecisionResult, names};

impl Client {
    /// Gets a tenant's sync state: both sides, and the cause of a difference. The server does not read from Google.
    pub fn get_tenant_sync(&self, tenant: impl Into<String>) -> GetTenantSync {
        GetTenantSync { client: self.clone(), message: v1::GetTenantSyncRequest { name: names::sync(tenant) } }
    }

    /// Lists the sync states of all tenants that a run has observed, by tenant, as last observed.
    pub fn list_tenant_syncs(&self) -> ListTenantSyncs {
        ListTenantSyncs { client: self.clone(), message: v1::ListTenantSyncsRequest::default() }
    }

    /// Records a decision about a tenant that is in conflict or is to be left unchanged. The reason is stored.
    pub fn decide_tenant_sync(
        &self,
        tenant: impl Into<String>,
        decision: SyncDecision,
        reason: impl Into<String>,
    ) -> DecideTenantSync {
        let message = v1::DecideTenantSyncRequest {
            name: names::sync(tenant),
            decision: decision.to_wire(),
            reason: reason.into(),
            // Makes retries safe.
            request_id: Uuid::now_v7().to_string(),
            override_guards: Vec::new(),
        };
        DecideTenantSync { client: self.clone(), message }
    }
}

request! {
    /// Request of [`Client::get_tenant_sync`].
    GetTenantSync(v1::GetTenantSyncRequest) -> TenantSync {
        TenantServiceClient.get_tenant_sync, Idempotent, |a: v1::GetTenantSyncResponse| a.tenant_sync.map(TenantSync::from_wire)
    }
}

list_request! {
    /// Request of [`Client::list_tenant_syncs`].
    ListTenantSyncs(ListTenantSyncsRequest) -> TenantSync { TenantServiceClient.list_tenant_syncs, tenant_syncs }
}

impl ListTenantSyncs {
    /// Lists only tenants with this cause. Repeated calls add causes.
    pub fn cause(mut self, cause: SyncCause) -> Self {
        self.message.causes.push(cause.to_wire());
        self
    }

    /// Lists only tenants of this organization, an id or `organizations/{id}`.
    pub fn organization(mut self, organization: impl Into<String>) -> Self {
        self.message.organization = names::qualified("organizations", organization);
        self
    }

    /// Lists only tenants that are in conflict and need a decision.
    pub fn in_conflict_only(mut self) -> Self {
        self.message.in_conflict_only = true;
        self
    }

    /// Lists only tenants that are out of sync.
    pub fn out_of_sync_only(mut self) -> Self {
        self.message.out_of_sync_only = true;
        self
    }
}

request! {
    /// Request of [`Client::decide_tenant_sync`].
    DecideTenantSync(v1::DecideTenantSyncRequest) -> TenantSyncDecisionResult {
        TenantServiceClient.decide_tenant_sync, Idempotent, TenantSyncDecisionResult::from_wire
    }
}

impl DecideTenantSync {
    /// Overrides guards for the run that executes the decision, such as `primary_change`. The reason is that of the
    /// decision.
    pub fn override_guards<I>(mut self, guards: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.message.override_guards = guards.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the idempotency key, at most 128 printable ASCII characters. A repeated request within 24 hours, even from
    /// another process, records no new decision and starts no second run. Default: a new key for each request, for the
    /// client's own retries.
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.message.request_id = id.into();
        self
    }
}
