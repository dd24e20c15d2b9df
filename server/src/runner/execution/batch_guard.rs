//! What a batch as a whole may change: asked last before a run of it writes.

use super::attempt::{Abort, AttemptExecution};
use crate::{
    domain::{
        Batch, BatchGuardRule, BatchId, Change, Failure, FailureReason, GuardOutcome, GuardVerdict, Skip, batch_name,
        changes_primary,
    },
    error::Error,
    store::{BatchReservation, FullGuard},
};

/// Lets a run of a batch through to its write, if its tenant still belongs to whom the batch is for, and the batch has a place left for it.
/// Every other run passes, and one that a single request has joined.
pub(super) async fn pass<C>(attempt: &AttemptExecution, changes: &[Change<C>]) -> Result<(), Abort> {
    let Some(batch) = attempt.run.batch else { return Ok(()) };
    let store = &attempt.context.store;
    let overridden = overridden(attempt);
    let (primary, overrides) = (changes_primary(changes), !overridden.is_empty());
    let full = match store.reserve_batch_write(attempt.now, attempt.claim.held, primary, overrides).await? {
        BatchReservation::Granted => return Ok(()),
        BatchReservation::LeaseLost => return Err(Abort::LeaseLost),
        BatchReservation::OrganizationChanged => return Err(Abort::Skipped(left_organization(attempt, batch).await?)),
        BatchReservation::Refused(full) => full,
    };
    let batch = store.batch(batch).await?.ok_or_else(|| Error::Internal("a run's batch is missing".into()))?;
    let rule = match full {
        FullGuard::Overrides => return Err(beyond_confirmed(&batch, &overridden).into()),
        FullGuard::Rule(rule) => rule,
    };
    // Limits never change; what is let through may have, since the place was refused.
    let Some(limit) = batch.verdicts.iter().find(|verdict| verdict.rule == rule).and_then(|verdict| verdict.limit)
    else {
        return Err(Error::Internal("a batch without a limit refused a run".into()).into());
    };
    let kind = if rule == BatchGuardRule::Primary { "another primary category" } else { "a change" };
    let message = format!(
        "guard {rule} of {}: {} of its {} tenants would get {kind}, at most {limit} may; override {rule} with a reason to go on",
        batch_name(batch.id),
        limit + 1,
        batch.tenants,
    );
    let failure = Failure::permanent(FailureReason::Guard, message);
    Err(failure.with("rule", rule).with("value", limit + 1).with("limit", limit).into())
}

/// What the run shows of a tenant that has left the organization since its run was made.
async fn left_organization(attempt: &AttemptExecution, batch: BatchId) -> Result<Skip, Error> {
    let batch = attempt.context.store.batch(batch).await?;
    let organization = batch.and_then(|batch| batch.organization).map(|organization| organization.resource_name());
    Ok(Skip::left_organization(&attempt.run.tenant, organization.unwrap_or_default()))
}

/// The guards that would stop the run, had its batch's caller not overridden them.
fn overridden(attempt: &AttemptExecution) -> Vec<GuardVerdict> {
    let guards = attempt.progress.plan.as_ref().map(|plan| plan.guards.as_slice()).unwrap_or_default();
    guards.iter().filter(|verdict| verdict.outcome == GuardOutcome::Overridden).cloned().collect()
}

fn beyond_confirmed(batch: &Batch, overridden: &[GuardVerdict]) -> Failure {
    let limit = batch.max_overrides.unwrap_or_default();
    let rules: Vec<&str> = overridden.iter().map(|verdict| verdict.rule.as_str()).collect();
    let stopping: Vec<String> = overridden.iter().map(ToString::to_string).collect();
    let message = format!(
        "stopped before writing, by {}: {} overrides that for {limit} runs, as confirmed, and as many have been let through; see what another \
         dry batch says, or ask for this run alone with override_guards {}",
        stopping.join(", "),
        batch_name(batch.id),
        rules.join(", "),
    );
    let failure = Failure::permanent(FailureReason::Guard, message).with("rules", rules.join(","));
    let Some(first) = overridden.first() else { return failure };
    failure.with("rule", first.rule).with("value", first.value).with("limit", first.limit).with("confirmed", limit)
}
