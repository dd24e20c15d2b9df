//! What a batch as a whole may change: asked last before a run of it writes.

use crate::{
    domain::{
        Batch, BatchGuardRule, BatchId, Category, GuardOutcome, GuardVerdict, Plan, Skip, changes_primary, full_guard,
        overrides_beyond_confirmed,
    },
    error::Error,
    runner::attempt::{Abort, AttemptContext},
    store::{BatchReservation, FullGuard},
};

/// Lets a run of a batch through to its write, if its tenant still belongs to the batch's target, and the batch has a place left for it.
/// Every other run passes, as does one that a single request has joined.
pub(super) async fn reserve<C: Category>(context: &AttemptContext, plan: &Plan<C>) -> Result<(), Abort> {
    let Some(id) = context.run.batch else { return Ok(()) };
    // The guards that would stop the run, had its batch's caller not overridden them.
    let is_overridden = |verdict: &&GuardVerdict| verdict.outcome == GuardOutcome::Overridden;
    let overridden: Vec<GuardVerdict> = plan.guards.iter().filter(is_overridden).cloned().collect();
    let (primary, overrides) = (changes_primary(&plan.changes), !overridden.is_empty());
    let store = context.store();
    let full = match store.reserve_batch_write(context.now, context.lease.key, primary, overrides).await? {
        BatchReservation::Granted => return Ok(()),
        BatchReservation::LeaseLost => return Err(Abort::LeaseLost),
        BatchReservation::OrganizationChanged => return Err(left_organization(context, id).await?.into()),
        BatchReservation::Refused(full) => full,
    };
    let batch = store.batch(id).await?.ok_or_else(|| Error::Internal("a run's batch is missing".into()))?;
    match full {
        FullGuard::Overrides => Err(overrides_beyond_confirmed(&batch, &overridden).into()),
        FullGuard::Rule(rule) => Err(full_guard(&batch, rule, limit(&batch, rule)?).into()),
    }
}

/// How many runs a guard of the batch lets write. Limits never change, unlike what has been let through since the place was refused.
fn limit(batch: &Batch, rule: BatchGuardRule) -> Result<i64, Error> {
    let limit = batch.verdicts.iter().find(|verdict| verdict.rule == rule).and_then(|verdict| verdict.limit);
    limit.ok_or_else(|| Error::Internal("a batch without a limit refused a run".into()))
}

/// The skip of a run whose tenant has left the organization since the run was created.
async fn left_organization(context: &AttemptContext, batch: BatchId) -> Result<Skip, Error> {
    let batch = context.store().batch(batch).await?;
    let organization = batch.and_then(|batch| batch.organization).map(|organization| organization.resource_name());
    Ok(Skip::left_organization(&context.run.tenant, organization.unwrap_or_default()))
}
