//! What a batch as a whole may change: asked last before a run of it writes.

use super::attempt::{Attempt, Stop};
use crate::{
    domain::{BatchId, BatchRule, BatchVerdict, Change, Failure, FailureReason, Skip, batch_name, changes_primary},
    error::Error,
    store::BatchPlace,
};

/// Lets a run of a batch through to its write, if its tenant still belongs to whom the batch is for, and the batch has a place left for it.
/// Every other run passes, and one that a single request has joined.
pub(super) async fn pass<C>(attempt: &Attempt, changes: &[Change<C>]) -> Result<(), Stop> {
    let Some(batch) = attempt.run.batch else { return Ok(()) };
    let store = &attempt.tools.store;
    match store.take_place(attempt.now, attempt.claim.held, changes_primary(changes)).await? {
        BatchPlace::Taken => return Ok(()),
        BatchPlace::Lost => return Err(Stop::Lost),
        BatchPlace::OrganizationChanged => return Err(Stop::Skipped(left_organization(attempt, batch).await?)),
        BatchPlace::Refused => {}
    }
    let batch = store.batch(batch).await?.ok_or_else(|| Error::Internal("a run's batch is missing".into()))?;
    let is_full = |verdict: &&BatchVerdict| verdict.limit.is_some_and(|limit| verdict.let_through >= limit);
    let Some(&BatchVerdict { rule, limit: Some(limit), .. }) = batch.verdicts.iter().find(is_full) else {
        return Err(Error::Internal("a batch with room refused a run".into()).into());
    };
    let kind = if rule == BatchRule::Primary { "another primary category" } else { "a change" };
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
async fn left_organization(attempt: &Attempt, batch: BatchId) -> Result<Skip, Error> {
    let batch = attempt.tools.store.batch(batch).await?;
    let organization = batch.and_then(|batch| batch.organization).map(|organization| organization.resource_name());
    Ok(Skip::left_organization(&attempt.run.tenant, organization.unwrap_or_default()))
}
