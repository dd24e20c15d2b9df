//! Asking for a batch of runs, and about one.

use super::{App, Page, PageRequest};
use crate::{
    domain::{
        Admission, Batch, BatchId, BatchRule, Caller, Flag, OrganizationId, RunKind, RunOverrides, Strategy,
        TenantScope, batch_name, let_through_by,
    },
    error::{Error, Resource},
    store::{BatchTarget, NewBatch, Population},
    wake::Hint,
};

/// How many tenants are asked for at a time, where a flag is not the same for all.
const PAGE: i64 = 10_000;

/// A valid request for a batch.
#[derive(Debug, Clone)]
pub struct BatchRequest {
    /// Whose tenants; `None` is everybody's.
    pub organization: Option<OrganizationId>,
    /// Strategy and dry run.
    pub kind: RunKind,
    /// How many tenants the caller expects to touch; `None`: they do not say, which is for an organization only.
    pub confirmed: Option<i64>,
    /// The guards of the batch that the caller overrides.
    pub overrides: Vec<BatchRule>,
    /// The guards of its runs that the caller overrides, and for how many runs.
    pub run_overrides: RunOverrides,
    /// Why.
    pub reason: String,
    /// Makes the call safe to repeat.
    pub request_id: Option<String>,
}

impl App {
    /// Accepts a batch. When this returns, it is durable; its runs are made afterwards.
    ///
    /// # Errors
    /// [`Error::NotFound`] of an organization without tenants, [`Error::NobodyToMirror`], [`Error::FeatureDisabled`],
    /// [`Error::ConfirmationMismatch`], [`Error::OverrideMismatch`], [`Error::NoDryBatch`], [`Error::RequestIdReused`], or the database's.
    pub async fn mirror_many(&self, caller: &Caller, request: BatchRequest) -> Result<Batch, Error> {
        let BatchRequest { organization, kind, confirmed, overrides, run_overrides, reason, request_id } = request;
        let only = caller.scope.tenants().map(<[_]>::to_vec);
        let target = BatchTarget { organization, only };
        // Before anything is counted: what was true for the first call may not be for the second.
        if let Some(id) = &request_id
            && let Some(first) =
                self.store.first_batch(None, &caller.subject, id, &target, kind, (&overrides, &run_overrides)).await?
        {
            return Ok(first);
        }
        let name = target.organization.as_ref().map_or_else(|| "tenants/-".to_owned(), OrganizationId::resource_name);
        let population = self.store.population(None, &target).await?;
        if population.tenants == 0 && target.organization.is_some() {
            return Err(Error::NotFound(Resource::Organization, name));
        }
        if population.located == 0 {
            return Err(Error::NobodyToMirror(name));
        }
        let admission = self.flags.now().await?.admission(Flag::CategoryMirroring);
        let tenants = self.admitted(&target, &admission, population).await?;
        if let Some(confirmed) = confirmed.filter(|confirmed| *confirmed != tenants) {
            return Err(Error::ConfirmationMismatch { target: name, expected: tenants, confirmed });
        }
        self.check_overrides(&target, kind.strategy, &run_overrides).await?;
        let new = NewBatch {
            id: self.store.new_id(Some(population.at)).await?,
            target,
            kind,
            admission,
            tenants,
            without_location: population.tenants - population.located,
            not_admitted: population.located - tenants,
            at: population.at,
            overrides,
            run_overrides,
            reason,
            caller: caller.subject.clone(),
            request_id,
            max_attempts: self.runs.max_attempts,
        };
        let (batch, is_new) = self.store.accept_batch(&new).await?;
        if is_new {
            self.wake.hint(Hint::Batch);
            tracing::info!(
                batch = %batch.id, target = name, strategy = %kind.strategy, dry_run = kind.dry_run, tenants,
                without_location = new.without_location, disabled = new.not_admitted, caller = %caller.subject,
                overrides = ?batch.overrides, reason = batch.reason, "accepted a batch"
            );
        }
        Ok(batch)
    }

    /// Checks that the caller overrides guards for as many runs as the last dry batch of the same kind says that they let through. Where the
    /// number has grown since, the batch keeps to what was confirmed.
    async fn check_overrides(
        &self,
        target: &BatchTarget,
        strategy: Strategy,
        overrides: &RunOverrides,
    ) -> Result<(), Error> {
        let Some(confirmed) = overrides.limit else { return Ok(()) };
        let Some(dry) = self.store.last_dry_batch(target, strategy).await? else { return Err(Error::NoDryBatch) };
        let expected = let_through_by(&dry.stopped, &overrides.guards);
        if confirmed == expected {
            return Ok(());
        }
        Err(Error::OverrideMismatch { dry_batch: batch_name(dry.id), expected, confirmed })
    }

    /// How many of a target's tenants the flag is on for. Those that it is off for are left out; where they are all, why says the first.
    async fn admitted(
        &self,
        target: &BatchTarget,
        admission: &Admission,
        population: Population,
    ) -> Result<i64, Error> {
        if admission.is_everybody() {
            return Ok(population.located);
        }
        let (mut admitted, mut off, mut after) = (0, None, String::new());
        loop {
            let tenants = self.store.located_tenants(target, &after, PAGE).await?;
            let Some((last, _)) = tenants.last() else { break };
            after = last.to_string();
            for (tenant, organization) in &tenants {
                match admission.evaluate(tenant, organization.as_ref()) {
                    why if why.is_on() => admitted += 1,
                    why => off = off.or(Some(why)),
                }
            }
        }
        match off {
            Some(why) if admitted == 0 => Err(super::flags::disabled(admission.flag, why)),
            _ => Ok(admitted),
        }
    }

    /// Gets a batch.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the database's.
    pub async fn batch(&self, caller: &Caller, batch: BatchId) -> Result<Batch, Error> {
        let found = self.store.batch(batch).await?.filter(|found| is_visible(caller, found));
        found.ok_or_else(|| Error::NotFound(Resource::Batch, batch_name(batch)))
    }

    /// Lists batches, newest first.
    ///
    /// # Errors
    /// [`Error::InvalidPageToken`], or the database's.
    pub async fn batches(&self, caller: &Caller, page: PageRequest) -> Result<Page<Batch>, Error> {
        let before = page.after.as_deref().map(BatchId::try_parse).transpose().map_err(|_| Error::InvalidPageToken)?;
        let batches = self.store.batches(caller.scope.tenants(), before, page.limit()).await?;
        Ok(page.page(batches, |batch| batch.id.to_string()))
    }

    /// Cancels a batch: no run of it is made from now on, and those that have not begun to write are cancelled soon. One that is over is
    /// left as it is.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the database's.
    pub async fn cancel_batch(&self, caller: &Caller, batch: BatchId) -> Result<Batch, Error> {
        self.batch(caller, batch).await?;
        if self.store.cancel_batch(None, batch).await? {
            self.wake.hint(Hint::Batch);
            tracing::info!(%batch, caller = %caller.subject, "cancelled a batch");
        }
        self.batch(caller, batch).await
    }
}

/// A batch exists for those who may see every tenant of it.
fn is_visible(caller: &Caller, batch: &Batch) -> bool {
    match (&caller.scope, &batch.only) {
        (TenantScope::All, _) => true,
        (TenantScope::Only(_), None) => false,
        (TenantScope::Only(_), Some(tenants)) => tenants.iter().all(|tenant| caller.scope.allows(tenant)),
    }
}
