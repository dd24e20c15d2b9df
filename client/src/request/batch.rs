//! Requests that create, read and cancel batches.

use category_mirror_proto::v1::{
    self, batch_service_client::BatchServiceClient, category_mirror_service_client::CategoryMirrorServiceClient,
    mirror_categories_request::Target,
};
use uuid::Uuid;

use crate::{Batch, Client, Strategy, names};

impl Client {
    /// Starts a batch for all tenants of an organization, given by id or as `organizations/{id}`. The response arrives
    /// without waiting for the runs, and the batch is then durable. [`watch_batch`](Self::watch_batch) and
    /// [`get_batch`](Self::get_batch) report its progress.
    pub fn mirror_organization(&self, organization: impl Into<String>, strategy: Strategy) -> MirrorBatch {
        self.mirror_many(Target::Organization(names::qualified("organizations", organization)), strategy)
    }

    /// Starts a batch for all tenants that the caller may see. `tenants` is the number that the caller expects. If the
    /// actual number differs, nothing happens and the error contains it (reason `CONFIRMATION_MISMATCH`, metadata
    /// `expected`).
    pub fn mirror_all(&self, strategy: Strategy, tenants: u32) -> MirrorBatch {
        self.mirror_many(Target::AllTenants(true), strategy).confirm(tenants)
    }

    fn mirror_many(&self, target: Target, strategy: Strategy) -> MirrorBatch {
        let message = v1::MirrorCategoriesRequest {
            strategy: strategy.to_wire(),
            target: Some(target),
            // Makes retries safe.
            request_id: Uuid::now_v7().to_string(),
            ..Default::default()
        };
        MirrorBatch { client: self.clone(), message }
    }

    /// Gets a batch with its progress, by id or `batches/{batch}`.
    pub fn get_batch(&self, name: impl Into<String>) -> GetBatch {
        GetBatch { client: self.clone(), message: v1::GetBatchRequest { name: names::qualified("batches", name) } }
    }

    /// Lists batches, newest first.
    pub fn list_batches(&self) -> ListBatches {
        ListBatches { client: self.clone(), message: v1::ListBatchesRequest::default() }
    }

    /// Cancels a batch: no further runs are created, and runs that have not begun to write are cancelled. A terminal
    /// batch is returned unchanged.
    pub fn cancel_batch(&self, name: impl Into<String>) -> CancelBatch {
        let message = v1::CancelBatchRequest { name: names::qualified("batches", name) };
        CancelBatch { client: self.clone(), message }
    }
}

impl MirrorBatch {
    /// Sets whether the runs only plan and write to neither side. Default: false.
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.message.dry_run = dry_run;
        self
    }

    /// Sets the number of tenants that the caller expects the batch to include. If the actual number differs, the call
    /// fails.
    pub fn confirm(mut self, tenants: u32) -> Self {
        self.message.confirm_tenant_count = Some(tenants.into());
        self
    }

    /// Overrides guards of the batch as a whole, such as `batch_tenants`, and guards of its runs, such as
    /// `primary_change`. The latter also need [`confirm_overrides`](Self::confirm_overrides). The reason is stored with
    /// the batch.
    pub fn override_guards<I>(mut self, guards: I, reason: impl Into<String>) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.message.override_guards = guards.into_iter().map(Into::into).collect();
        self.message.reason = reason.into();
        self
    }

    /// Sets for how many runs the run guards are overridden: the number of runs that the most recent dry batch of the
    /// same tenants and strategy reports as stopped only by these guards. Any other number is refused (reason
    /// `CONFIRMATION_MISMATCH`, metadata `expected`), and no more runs than that may write because of the override.
    pub fn confirm_overrides(mut self, runs: u32) -> Self {
        self.message.confirm_override_count = Some(runs.into());
        self
    }

    /// Sets the idempotency key, at most 128 printable ASCII characters. A repeated request within 24 hours, even from
    /// another process, gets the first response. Default: a new key for each request, for the client's own retries.
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.message.request_id = id.into();
        self
    }
}

request! {
    /// Request of [`Client::mirror_organization`] and [`Client::mirror_all`].
    ///
    /// After `UNAVAILABLE` or `DEADLINE_EXCEEDED`, the batch may or may not have been accepted. Send the same
    /// [`request_id`](Self::request_id) again: this returns the accepted batch, or starts it.
    MirrorBatch(v1::MirrorCategoriesRequest) -> Batch {
        CategoryMirrorServiceClient.mirror_categories, Idempotent,
        |a: v1::MirrorCategoriesResponse| a.batch.map(Batch::from_wire)
    }
}

request! {
    /// Request of [`Client::get_batch`].
    GetBatch(v1::GetBatchRequest) -> Batch {
        BatchServiceClient.get_batch, Idempotent, |a: v1::GetBatchResponse| a.batch.map(Batch::from_wire)
    }
}

request! {
    /// Request of [`Client::cancel_batch`].
    CancelBatch(v1::CancelBatchRequest) -> Batch {
        BatchServiceClient.cancel_batch, Idempotent, |a: v1::CancelBatchResponse| a.batch.map(Batch::from_wire)
    }
}

list_request! {
    /// Request of [`Client::list_batches`].
    ListBatches(ListBatchesRequest) -> Batch { BatchServiceClient.list_batches, batches }
}
