//! Creates, reads and cancels batches.

use std::collections::BTreeSet;

use super::{App, Page, PageRequest};
use crate::{
    domain::{
        Batch, BatchGuardRule, BatchId, Caller, Flag, OrganizationId, RunKind, RunOverrides, TenantScope, batch_name,
        overridden_run_count,
    },
    error::{Error, Resource},
    store::{BatchTarget, ID_BY_DATABASE, NewBatch},
    wake::WakeUp,
};

/// A validated request for a batch.
#[derive(Debug, Clone)]
pub struct BatchRequest {
    /// The organization whose tenants are mirrored; `None`: all tenants.
    pub organization: Option<OrganizationId>,
    /// Strategy and dry run.
    pub kind: RunKind,
    /// Number of tenants that the caller expects; `None`: not given, which is only allowed for an organization.
    pub confirmed: Option<i64>,
    /// Guards of the batch that the caller overrides.
    pub overrides: Vec<BatchGuardRule>,
    /// Guards of its runs that the caller overrides, and for how many runs.
    pub run_overrides: RunOverrides,
    /// The reason for the overrides.
    pub reason: String,
    /// Idempotency key.
    pub request_id: Option<String>,
}

impl App {
    /// Accepts a batch. When this returns, the batch is durable; its runs are created afterwards.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an organization without tenants, [`Error::NoTenantWithLocation`],
    /// [`Error::FeatureDisabled`], [`Error::ConfirmationMismatch`], [`Error::OverrideMismatch`], [`Error::NoDryBatch`],
    /// [`Error::RequestIdReused`], [`Error::RateLimited`] if the caller has too many batches, or a database error.
    pub async fn mirror_many(&self, caller: &Caller, request: BatchRequest) -> Result<Batch, Error> {
        let BatchRequest { organization, kind, confirmed, overrides, run_overrides, reason, request_id } = request;
        // Sorted, whatever the order in the token, because the latest dry batch is found by the same list.
        let visible_tenants =
            caller.scope.tenants().map(|tenants| BTreeSet::from_iter(tenants.iter().cloned()).into_iter().collect());
        let new = NewBatch {
            id: ID_BY_DATABASE,
            target: BatchTarget { organization, visible_tenants },
            kind,
            flag_at_acceptance: self.flags.now().await?.flag_at_acceptance(Flag::CategoryMirroring),
            confirmed,
            overrides,
            run_overrides,
            reason,
            caller: caller.subject.clone(),
            request_id,
            max_attempts: self.runs.max_attempts,
            max_live: self.runs.max_live_batches,
        };
        // Before anything is counted: the state may have changed since the first call.
        let (batch, is_new) = match self.store.recorded_batch(None, &new).await? {
            Some(first) => (first, false),
            None => {
                self.check_overrides(&new).await?;
                self.store.accept_batch(None, &new).await.inspect_err(super::flag_cache::count_disabled)?
            }
        };
        if is_new {
            self.wake.send(WakeUp::BatchesChanged);
            tracing::info!(
                batch_id = %batch.id, target = new.target.resource_name(), strategy = %kind.strategy, dry_run = kind.dry_run,
                tenants = batch.tenants, without_location = batch.without_location, disabled = batch.disabled,
                caller = %caller.subject, overrides = ?batch.overridden_guards, reason = batch.override_reason, "accepted a batch"
            );
        }
        visible_batch(caller, batch)
    }

    /// Checks that the caller overrides guards for the number of runs that the latest dry batch of the same kind
    /// reports. If the number has grown since, the batch keeps the confirmed one.
    async fn check_overrides(&self, new: &NewBatch) -> Result<(), Error> {
        let NewBatch { target, kind, run_overrides: overrides, .. } = new;
        let Some(confirmed) = overrides.limit else { return Ok(()) };
        let Some(dry) = self.store.last_dry_batch(target, kind.strategy).await? else { return Err(Error::NoDryBatch) };
        let expected = overridden_run_count(&dry.stopped, &overrides.guards);
        if confirmed == expected {
            return Ok(());
        }
        Err(Error::OverrideMismatch { dry_batch: batch_name(dry.id), expected, confirmed })
    }

    /// Gets a batch.
    ///
    /// # Errors
    /// [`Error::NotFound`], or a database error.
    pub async fn batch(&self, caller: &Caller, batch: BatchId) -> Result<Batch, Error> {
        let found = self.store.batch(batch).await?;
        found.map_or_else(|| Err(not_found(batch)), |found| visible_batch(caller, found))
    }

    /// Lists batches, newest first.
    ///
    /// # Errors
    /// [`Error::InvalidPageToken`], or a database error.
    pub async fn batches(&self, caller: &Caller, page: PageRequest) -> Result<Page<Batch>, Error> {
        let before = page.after.as_deref().map(BatchId::try_parse).transpose().map_err(|_| Error::InvalidPageToken)?;
        let batches = self.store.batches(caller.scope.tenants(), before, page.limit()).await?;
        Ok(page.page(batches, |batch| batch.id.to_string()))
    }

    /// Cancels a batch: no further runs are created, and runs that have not begun to write are cancelled soon. A
    /// terminal batch is left unchanged.
    ///
    /// # Errors
    /// [`Error::NotFound`], or a database error.
    pub async fn cancel_batch(&self, caller: &Caller, batch: BatchId) -> Result<Batch, Error> {
        self.batch(caller, batch).await?;
        if self.store.cancel_batch(None, batch).await? {
            self.wake.send(WakeUp::BatchesChanged);
            tracing::info!(%batch, caller = %caller.subject, "cancelled a batch");
        }
        self.batch(caller, batch).await
    }
}

fn not_found(batch: BatchId) -> Error {
    Error::NotFound(Resource::Batch, batch_name(batch))
}

fn visible_batch(caller: &Caller, batch: Batch) -> Result<Batch, Error> {
    if is_visible(caller, &batch) { Ok(batch) } else { Err(not_found(batch.id)) }
}

/// Whether the caller may see a batch: only if the caller may see all tenants that the batch's creator could see.
fn is_visible(caller: &Caller, batch: &Batch) -> bool {
    match (&caller.scope, &batch.visible_tenants) {
        (TenantScope::All, _) => true,
        (TenantScope::Only(_), None) => false,
        (TenantScope::Only(_), Some(tenants)) => tenants.iter().all(|tenant| caller.scope.allows(tenant)),
    }
}
