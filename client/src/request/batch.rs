//! Asking for a batch of runs, and about one.

use category_mirror_proto::v1::{
    self, batch_service_client::BatchServiceClient, category_mirror_service_client::CategoryMirrorServiceClient,
    mirror_categories_request::Target,
};
use uuid::Uuid;

use crate::{Batch, Client, Strategy, names};

impl Client {
    /// Asks for a run of every tenant of an organization, an id or `organizations/{id}`. The answer comes at once, the batch is then
    /// durable; [`watch_batch`](Self::watch_batch) and [`get_batch`](Self::get_batch) tell how it goes on.
    pub fn mirror_organization(&self, organization: impl Into<String>, strategy: Strategy) -> MirrorBatch {
        self.mirror_many(Target::Organization(names::qualified("organizations", organization)), strategy)
    }

    /// Asks for a run of every tenant that the caller may see. `tenants` is how many they expect to touch; where it is another number,
    /// nothing happens and the error says which (`CONFIRMATION_MISMATCH`, metadata `expected`).
    pub fn mirror_all(&self, strategy: Strategy, tenants: u32) -> MirrorBatch {
        self.mirror_many(Target::AllTenants(true), strategy).confirm(tenants)
    }

    fn mirror_many(&self, target: Target, strategy: Strategy) -> MirrorBatch {
        let message = v1::MirrorCategoriesRequest {
            strategy: strategy.to_wire(),
            target: Some(target),
            // What makes repeating safe.
            request_id: Uuid::now_v7().to_string(),
            ..Default::default()
        };
        MirrorBatch { client: self.clone(), message }
    }

    /// Gets a batch by `batches/{batch}`, or by its id alone, with its progress.
    pub fn get_batch(&self, name: impl Into<String>) -> GetBatch {
        GetBatch { client: self.clone(), message: v1::GetBatchRequest { name: names::qualified("batches", name) } }
    }

    /// Lists batches, newest first.
    pub fn list_batches(&self) -> ListBatches {
        ListBatches { client: self.clone(), message: v1::ListBatchesRequest::default() }
    }

    /// Cancels a batch: no more runs are made, and those that have not begun to write are cancelled. A terminal batch is returned as it is.
    pub fn cancel_batch(&self, name: impl Into<String>) -> CancelBatch {
        let message = v1::CancelBatchRequest { name: names::qualified("batches", name) };
        CancelBatch { client: self.clone(), message }
    }
}

impl MirrorBatch {
    /// Whether only to plan, and to write to neither side. False unless told otherwise.
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.message.dry_run = dry_run;
        self
    }

    /// How many tenants the caller expects to touch: another number is refused.
    pub fn confirm(mut self, tenants: u32) -> Self {
        self.message.confirm_tenant_count = Some(tenants.into());
        self
    }

    /// Overrides guards of the batch as a whole, such as `batch_tenants`, and of its runs, such as `primary_change`; these with
    /// [`confirm_overrides`](Self::confirm_overrides). The reason is kept with the batch.
    pub fn override_guards<I>(mut self, guards: I, reason: impl Into<String>) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.message.override_guards = guards.into_iter().map(Into::into).collect();
        self.message.reason = reason.into();
        self
    }

    /// For how many runs the guards of runs are overridden: the runs that the last dry batch of the same tenants and strategy would let
    /// through by it. Another number is refused (`CONFIRMATION_MISMATCH`, metadata `expected`), and no more runs are let through.
    pub fn confirm_overrides(mut self, runs: u32) -> Self {
        self.message.confirm_override_count = Some(runs.into());
        self
    }

    /// Names this request, at most 128 printable ASCII characters, so that sending it again within 24 h, also from another
    /// process, returns the first answer. Without it the client makes one up for its own retries.
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.message.request_id = id.into();
        self
    }
}

request! {
    /// Asks for a batch of runs; see [`Client::mirror_organization`] and [`Client::mirror_all`].
    ///
    /// After `UNAVAILABLE` or `DEADLINE_EXCEEDED` the batch may have been accepted: sending the same
    /// [`request_id`](Self::request_id) again tells, or makes it so.
    MirrorBatch(v1::MirrorCategoriesRequest) -> Batch {
        CategoryMirrorServiceClient.mirror_categories, Idempotent,
        |a: v1::MirrorCategoriesResponse| a.batch.map(Batch::from_wire)
    }
}

request! {
    /// Asks for one batch; see [`Client::get_batch`].
    GetBatch(v1::GetBatchRequest) -> Batch {
        BatchServiceClient.get_batch, Idempotent, |a: v1::GetBatchResponse| a.batch.map(Batch::from_wire)
    }
}

request! {
    /// Asks to cancel a batch; see [`Client::cancel_batch`].
    CancelBatch(v1::CancelBatchRequest) -> Batch {
        BatchServiceClient.cancel_batch, Idempotent, |a: v1::CancelBatchResponse| a.batch.map(Batch::from_wire)
    }
}

list_request! {
    /// Asks for batches; see [`Client::list_batches`].
    ListBatches(ListBatchesRequest) -> Batch { BatchServiceClient.list_batches, batches }
}
