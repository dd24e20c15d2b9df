//! Asking how tenants stand, and deciding about them.

use category_mirror_proto::v1::{self, tenant_service_client::TenantServiceClient};
use uuid::Uuid;

use crate::{Client, SyncCause, SyncDecision, TenantSync, TenantSyncDecisionResult, names};

impl Client {
    /// Gets how a tenant's two sides stand, and why they differ if they do. Nobody asks Google for it.
    pub fn get_tenant_sync(&self, tenant: impl Into<String>) -> GetTenantSync {
        GetTenantSync { client: self.clone(), message: v1::GetTenantSyncRequest { name: names::sync(tenant) } }
    }

    /// Lists how tenants stand that a run has looked at, by tenant, as it found them.
    pub fn list_tenant_syncs(&self) -> ListTenantSyncs {
        ListTenantSyncs { client: self.clone(), message: v1::ListTenantSyncsRequest::default() }
    }

    /// Decides about a tenant whose value is changed back again and again, or that is to be left alone. The reason is kept.
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
            // What makes repeating safe.
            request_id: Uuid::now_v7().to_string(),
            override_guards: Vec::new(),
        };
        DecideTenantSync { client: self.clone(), message }
    }
}

request! {
    /// Asks how a tenant stands; see [`Client::get_tenant_sync`].
    GetTenantSync(v1::GetTenantSyncRequest) -> TenantSync {
        TenantServiceClient.get_tenant_sync, Idempotent, |a: v1::GetTenantSyncResponse| a.tenant_sync.map(TenantSync::from_wire)
    }
}

list_request! {
    /// Asks how tenants stand; see [`Client::list_tenant_syncs`].
    ListTenantSyncs(ListTenantSyncsRequest) -> TenantSync { TenantServiceClient.list_tenant_syncs, tenant_syncs }
}

impl ListTenantSyncs {
    /// Only of this cause; more than once: of one of these.
    pub fn cause(mut self, cause: SyncCause) -> Self {
        self.message.causes.push(cause.to_wire());
        self
    }

    /// Only those of this organization, an id or `organizations/{id}`.
    pub fn organization(mut self, organization: impl Into<String>) -> Self {
        self.message.organization = names::qualified("organizations", organization);
        self
    }

    /// Only those that a person has to decide about.
    pub fn in_conflict_only(mut self) -> Self {
        self.message.in_conflict_only = true;
        self
    }

    /// Only those that are out of sync.
    pub fn out_of_sync_only(mut self) -> Self {
        self.message.out_of_sync_only = true;
        self
    }
}

request! {
    /// Asks to record a decision; see [`Client::decide_tenant_sync`].
    DecideTenantSync(v1::DecideTenantSyncRequest) -> TenantSyncDecisionResult {
        TenantServiceClient.decide_tenant_sync, Idempotent, TenantSyncDecisionResult::from_wire
    }
}

impl DecideTenantSync {
    /// Overrides guards for the run that executes the decision, such as `primary_change`, for the reason of the decision.
    pub fn override_guards<I>(mut self, guards: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.message.override_guards = guards.into_iter().map(Into::into).collect();
        self
    }

    /// Names this request, at most 128 printable ASCII characters, so that sending it again within 24 h, also from another process, decides
    /// nothing anew and starts no second run. Without it the client makes one up for its own retries.
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.message.request_id = id.into();
        self
    }
}
