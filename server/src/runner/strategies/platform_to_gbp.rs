//! The strategy in which the platform wins: read both sides, plan, write one update, verify.

use std::time::Instant;

use super::{
    attempt::{Abort, AttemptExecution, MAX_SOURCE_CHECKS, SUPERSEDED, unknown_outcome},
    batch_guard,
    run_options::{source_failure, wrong_target},
};
use crate::{
    domain::{
        CategorySet, Failure, FailureReason, GbpCategory, LocationId, NotRevertible, Plan, RunResult, Tenant,
        WriteIntent, WriteOutcome, apply, enforce, map_to_gbp, visible_changes,
    },
    gbp::{Client, LocationViews, Reader, Validator, WriteFailure, Writer},
    store::{BeginWriteResult, TenantSnapshot},
    wake::WakeUp,
};

/// Carries the strategy out. A dry run gets no [`Writer`], and neither does what plans: it cannot write.
pub(super) async fn execute(
    attempt: &mut AttemptExecution,
    source: &TenantSnapshot,
    location: &LocationId,
    google: Client,
) -> Result<RunResult, Abort> {
    let plan = plan(attempt, source, location, &google.reader()).await?;
    if plan.is_some() {
        attempt.assess(source).await?;
    }
    if let Some(skip) = attempt.closed(location) {
        return Ok(RunResult::Skipped(skip));
    }
    let Some(plan) = plan else { return Ok(RunResult::Succeeded) };
    if attempt.claim.cancelled.is_cancelled() {
        return Err(Abort::Cancelled);
    }
    let Some(capability) = attempt.run.kind.gbp_write_capability() else {
        return finish_dry_run(attempt, plan, location, &google.validator()).await;
    };
    if let Some(skip) = attempt.conflict_skip(source) {
        return Ok(RunResult::Skipped(skip));
    }
    enforce(&plan.guards)?;
    match attempt.flag_skip(&source.tenant).await? {
        Some(skip) => Ok(RunResult::Skipped(skip)),
        None => write(attempt, source, plan, &google.reader(), &google.writer(capability)).await,
    }
}

pub(super) fn location_of(tenant: &Tenant) -> Result<LocationId, Failure> {
    tenant.location.clone().ok_or_else(|| {
        let message = format!("tenants/{} has no GBP location", tenant.id);
        Failure::permanent(FailureReason::NoLocation, message)
    })
}

/// Reads the target and plans. `None`: there is nothing to do.
async fn plan(
    attempt: &mut AttemptExecution,
    source: &TenantSnapshot,
    location: &LocationId,
    reader: &Reader,
) -> Result<Option<Plan>, Abort> {
    let applied = attempt.plan_to_apply().await?;
    let target = attempt.revert_target().await?;
    let now = attempt.guard_context(source);
    let mut plan = match target {
        Some((run, target)) => {
            target.check_location(location).map_err(|why| attempt.not_revertible(&why))?;
            let observed = read(attempt, source, location, reader).await?.merchant;
            let recorded = observed.get().clone().map(CategorySet::recorded);
            target.check(recorded.as_ref()).map_err(|why| attempt.not_revertible(&why))?;
            let before = target.before.try_map(GbpCategory::try_from).map_err(wrong_target)?;
            Plan::revert(run, before, observed, &now, source.read_at)
        }
        None => {
            let mapped = map_to_gbp(&source.categories, attempt.context.settings.max_additional);
            let mapped = match (mapped, &applied) {
                (Ok(mapped), _) => mapped,
                (Err(error), Some(applied)) => return Err(applied.source_changed(&error)),
                (Err(error), None) => {
                    attempt.sync_tracker.set_desired(attempt.desired(source));
                    return Err(source_failure(error).into());
                }
            };
            let side = read(attempt, source, location, reader).await?;
            let observed = side.target(&mapped.set);
            Plan::to_gbp(mapped, observed, &now, source.read_at)
        }
    };
    plan.location_issues = attempt.sync_tracker.issues().to_vec();
    let plan = plan.at(Some(location.clone()));
    attempt.planned(plan.recorded());
    if let Some(applied) = &applied {
        applied.check(&plan)?;
    }
    Ok((!plan.is_empty()).then_some(plan))
}

async fn read(
    attempt: &mut AttemptExecution,
    source: &TenantSnapshot,
    location: &LocationId,
    reader: &Reader,
) -> Result<LocationViews, Abort> {
    let side = reader.merchant_view(location).await?;
    attempt.sync_tracker.observed(&side);
    attempt.sync_tracker.set_desired(attempt.desired(source));
    Ok(side)
}

/// The end of a dry run: Google's own objections go into the plan.
async fn finish_dry_run(
    attempt: &mut AttemptExecution,
    mut plan: Plan,
    location: &LocationId,
    validator: &Validator,
) -> Result<RunResult, Abort> {
    plan.validation_errors = validator.validate(location, &plan.desired).await?;
    attempt.progress.plan = Some(plan.recorded());
    Ok(RunResult::Succeeded)
}

async fn write(
    attempt: &mut AttemptExecution,
    source: &TenantSnapshot,
    plan: Plan,
    reader: &Reader,
    writer: &Writer,
) -> Result<RunResult, Abort> {
    batch_guard::pass(attempt, &plan.changes).await?;
    let location = location_of(&source.tenant)?;
    let intent = WriteIntent {
        before: plan.observed.clone(),
        after: plan.desired.clone(),
        changes: plan.changes.clone(),
        location: Some(location.clone()),
        account: source.tenant.account.clone(),
    };
    attempt.progress.observation = attempt.sync_tracker.observation();
    begin(attempt, source, &intent).await?;
    // The process may have been stopped since: without a lease there is no write.
    if attempt.claim.lease_expires_at().is_none() {
        return Err(Abort::LeaseLost);
    }
    let claim = &attempt.claim;
    let written = writer.replace_categories(&location, &intent.after, &|| claim.lease_expires_at()).await;
    match written {
        Ok(answer) => verify(attempt, &intent, answer.categories.get().as_ref(), answer.has_pending_edits),
        Err(WriteFailure::Refused(failure)) => {
            attempt.progress.write_intent = None;
            Err(failure.into())
        }
        Err(WriteFailure::Expired) => {
            attempt.progress.write_intent = None;
            let message =
                "the write was not sent, because less time was left of the run's lease than a request may take";
            Err(Failure::transient(FailureReason::Internal, message).into())
        }
        Err(WriteFailure::Unknown(failure)) => resolve_intent(attempt, &intent, failure, &location, reader).await,
    }
}

/// Records the intent, with what else the run is to be known by from now on, and asks whether it may be carried out.
async fn begin(attempt: &mut AttemptExecution, source: &TenantSnapshot, intent: &WriteIntent) -> Result<(), Abort> {
    let lease = attempt.context.settings.lease;
    for _ in 0..MAX_SOURCE_CHECKS {
        attempt.progress.write_intent = Some(intent.clone());
        let asked = Instant::now();
        let begun = attempt.context.store.begin_write(attempt.now, attempt.claim.held, &attempt.progress, lease).await;
        if !matches!(begun, Ok(BeginWriteResult::Granted)) {
            // Nothing is sent, so there is nothing to settle later.
            attempt.progress.write_intent = None;
            attempt.may_have_begun = begun.is_err();
        }
        match begun? {
            BeginWriteResult::Granted => {
                attempt.claim.renewed(asked, lease);
                // The plan can be seen from now on.
                attempt.context.wake.send(WakeUp::RunsChanged([attempt.run.id].into()));
                return Ok(());
            }
            BeginWriteResult::Cancelled => return Err(Abort::Cancelled),
            BeginWriteResult::LeaseLost => return Err(Abort::LeaseLost),
            BeginWriteResult::TargetChanged => return Err(target_changed(attempt, source)),
            // Asked again as long as requests keep joining for what is planned already.
            BeginWriteResult::Superseded if attempt.is_source_current(source).await? => {}
            BeginWriteResult::Superseded => break,
        }
    }
    Err(Abort::Superseded(SUPERSEDED))
}

/// The end of an attempt whose tenant was moved to another location. Nothing was written.
fn target_changed(attempt: &AttemptExecution, source: &TenantSnapshot) -> Abort {
    if attempt.run.options.revert_of.is_some() {
        return attempt.not_revertible(&NotRevertible::ConcurrentChange).into();
    }
    let tenant = source.tenant.id.resource_name();
    let message = format!("the GBP location of {tenant} was changed between the read and the write");
    Failure::transient(FailureReason::TargetChanged, message).with("tenant", tenant).into()
}

/// Reads what became of a write whose answer was lost. The intent stays where that is not known, and where the location is as it was: a
/// request that is still on its way may yet take effect, so the next attempt reads again.
async fn resolve_intent(
    attempt: &mut AttemptExecution,
    intent: &WriteIntent,
    failure: Failure,
    location: &LocationId,
    reader: &Reader,
) -> Result<RunResult, Abort> {
    let Ok(now) = reader.merchant_view(location).await else { return Err(failure.into()) };
    match now.outcome_of(intent) {
        WriteOutcome::Applied => verify(attempt, intent, now.merchant.get().as_ref(), now.in_review),
        WriteOutcome::NotApplied => Err(failure.into()),
        WriteOutcome::Unknown => Err(unknown_outcome(intent, now.merchant.get().as_ref()).into()),
    }
}

/// Compares the merchant's record with what was written, and records what became of it: of the difference, only what was asked for and is
/// there is the run's.
fn verify(
    attempt: &mut AttemptExecution,
    intent: &WriteIntent,
    actual: Option<&CategorySet>,
    in_review: bool,
) -> Result<RunResult, Abort> {
    let own = actual.map(|actual| visible_changes(&intent.changes, actual)).unwrap_or_default();
    let is_all_own = actual.is_some() && apply(intent.before.as_ref(), &own).as_ref() == actual;
    attempt.progress.written = own.into_iter().map(|change| change.recorded()).collect();
    // Another actor was there too: what the write has left is not known.
    attempt.progress.write_intent = (!is_all_own).then(|| intent.clone());
    attempt.sync_tracker.wrote(actual, in_review);
    if actual == Some(&intent.after) {
        return Ok(RunResult::Succeeded);
    }
    let actual = actual.map_or_else(|| "no categories".to_owned(), ToString::to_string);
    let message = format!("after the write the location has {actual}, not {}", intent.after);
    Err(Failure::permanent(FailureReason::VerifyMismatch, message)
        .with("expected", &intent.after)
        .with("actual", actual)
        .into())
}
