//! The strategy in which the platform wins: read both sides, plan, write one update, verify.

use std::time::Instant;

use super::{
    attempt::{Attempt, MAX_SOURCE_CHECKS, SUPERSEDED, Stop, unknown_outcome},
    batch_guard,
    orders::{other_side, source_failure},
};
use crate::{
    domain::{
        CategorySet, Failure, FailureReason, GbpCategory, LocationId, NotRevertible, Plan, RunResult, Tenant,
        WriteIntent, WriteOutcome, apply, enforce, map_to_gbp, visible_changes,
    },
    gbp::{Client, Reader, Side, Validator, WriteFailure, Writer},
    store::{BeginWrite, Source},
    wake::Hint,
};

/// Carries the strategy out. A dry run gets no [`Writer`], and neither does what plans: it cannot write.
pub(super) async fn carry_out(
    attempt: &mut Attempt,
    source: &Source,
    location: &LocationId,
    google: Client,
) -> Result<RunResult, Stop> {
    let plan = plan(attempt, source, location, &google.reader()).await?;
    if plan.is_some() {
        attempt.assess(source).await?;
    }
    if let Some(skip) = attempt.closed(location) {
        return Ok(RunResult::Skipped(skip));
    }
    let Some(plan) = plan else { return Ok(RunResult::Succeeded) };
    if attempt.claim.cancelled.is_cancelled() {
        return Err(Stop::Cancelled);
    }
    let Some(word) = attempt.run.kind.writes_gbp() else {
        return rehearse(attempt, plan, location, &google.validator()).await;
    };
    if let Some(skip) = attempt.contested(source) {
        return Ok(RunResult::Skipped(skip));
    }
    enforce(&plan.guards)?;
    match attempt.switched_off(&source.tenant).await? {
        Some(skip) => Ok(RunResult::Skipped(skip)),
        None => write(attempt, source, plan, &google.reader(), &google.writer(word)).await,
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
    attempt: &mut Attempt,
    source: &Source,
    location: &LocationId,
    reader: &Reader,
) -> Result<Option<Plan>, Stop> {
    let kept = attempt.kept_plan().await?;
    let way = attempt.way_back().await?;
    let now = attempt.circumstances(source);
    let mut plan = match way {
        Some((run, way)) => {
            way.check_location(location).map_err(|why| attempt.not_revertible(&why))?;
            let observed = read(attempt, source, location, reader).await?.merchant;
            let recorded = observed.get().clone().map(CategorySet::recorded);
            way.check(recorded.as_ref()).map_err(|why| attempt.not_revertible(&why))?;
            let before = way.before.try_map(GbpCategory::try_from).map_err(other_side)?;
            Plan::back(run, before, observed, &now, source.read_at)
        }
        None => {
            let mapped = map_to_gbp(&source.categories, attempt.tools.settings.max_additional);
            let mapped = match (mapped, &kept) {
                (Ok(mapped), _) => mapped,
                (Err(error), Some(kept)) => return Err(kept.source_moved(&error)),
                (Err(error), None) => {
                    attempt.standing.wants(attempt.wanted(source));
                    return Err(source_failure(error).into());
                }
            };
            let side = read(attempt, source, location, reader).await?;
            let observed = side.target(&mapped.set);
            Plan::to_gbp(mapped, observed, &now, source.read_at)
        }
    };
    plan.location_issues = attempt.standing.issues().to_vec();
    let plan = plan.at(Some(location.clone()));
    attempt.planned(plan.recorded());
    if let Some(kept) = &kept {
        kept.check(&plan)?;
    }
    Ok((!plan.is_empty()).then_some(plan))
}

async fn read(attempt: &mut Attempt, source: &Source, location: &LocationId, reader: &Reader) -> Result<Side, Stop> {
    let side = reader.side(location).await?;
    attempt.standing.saw(&side);
    attempt.standing.wants(attempt.wanted(source));
    Ok(side)
}

/// The end of a dry run: Google's own objections go into the plan.
async fn rehearse(
    attempt: &mut Attempt,
    mut plan: Plan,
    location: &LocationId,
    validator: &Validator,
) -> Result<RunResult, Stop> {
    plan.objections = validator.validate(location, &plan.desired).await?;
    attempt.progress.plan = Some(plan.recorded());
    Ok(RunResult::Succeeded)
}

async fn write(
    attempt: &mut Attempt,
    source: &Source,
    plan: Plan,
    reader: &Reader,
    writer: &Writer,
) -> Result<RunResult, Stop> {
    batch_guard::pass(attempt, &plan.changes).await?;
    let location = location_of(&source.tenant)?;
    let intent = WriteIntent {
        before: plan.observed.clone(),
        after: plan.desired.clone(),
        changes: plan.changes.clone(),
        location: Some(location.clone()),
        account: source.tenant.account.clone(),
    };
    attempt.progress.observation = attempt.standing.observation();
    begin(attempt, source, &intent).await?;
    // The process may have been stopped since: without a lease there is no write.
    if attempt.claim.lease_until().is_none() {
        return Err(Stop::Lost);
    }
    let claim = &attempt.claim;
    let written = writer.replace_categories(&location, &intent.after, &|| claim.lease_until()).await;
    match written {
        Ok(answer) => verify(attempt, &intent, answer.categories.get().as_ref(), answer.has_pending_edits),
        Err(WriteFailure::Refused(failure)) => {
            attempt.progress.intent = None;
            Err(failure.into())
        }
        Err(WriteFailure::Expired) => {
            attempt.progress.intent = None;
            let message =
                "the write was not sent, because less time was left of the run's lease than a request may take";
            Err(Failure::transient(FailureReason::Internal, message).into())
        }
        Err(WriteFailure::Unknown(failure)) => settle(attempt, &intent, failure, &location, reader).await,
    }
}

/// Records the intent, with what else the run is to be known by from now on, and asks whether it may be carried out.
async fn begin(attempt: &mut Attempt, source: &Source, intent: &WriteIntent) -> Result<(), Stop> {
    let lease = attempt.tools.settings.lease;
    for _ in 0..MAX_SOURCE_CHECKS {
        attempt.progress.intent = Some(intent.clone());
        let asked = Instant::now();
        let begun = attempt.tools.store.begin_write(attempt.now, attempt.claim.held, &attempt.progress, lease).await;
        if !matches!(begun, Ok(BeginWrite::Go)) {
            // Nothing is sent, so there is nothing to settle later.
            attempt.progress.intent = None;
            attempt.may_have_begun = begun.is_err();
        }
        match begun? {
            BeginWrite::Go => {
                attempt.claim.renewed(asked, lease);
                // The plan can be seen from now on.
                attempt.tools.wake.hint(Hint::Changed([attempt.run.id].into()));
                return Ok(());
            }
            BeginWrite::Cancelled => return Err(Stop::Cancelled),
            BeginWrite::Lost => return Err(Stop::Lost),
            BeginWrite::Moved => return Err(moved(attempt, source)),
            // Asked again as long as requests keep joining for what is planned already.
            BeginWrite::Superseded if attempt.is_source_current(source).await? => {}
            BeginWrite::Superseded => break,
        }
    }
    Err(Stop::Anew(SUPERSEDED))
}

/// The end of an attempt whose tenant was moved to another location. Nothing was written.
fn moved(attempt: &Attempt, source: &Source) -> Stop {
    if attempt.run.orders.reverts.is_some() {
        return attempt.not_revertible(&NotRevertible::Overtaken).into();
    }
    let tenant = source.tenant.id.resource_name();
    let message = format!("the GBP location of {tenant} was changed between the read and the write");
    Failure::transient(FailureReason::TargetChanged, message).with("tenant", tenant).into()
}

/// Reads what became of a write whose answer was lost. The intent stays where that is not known, and where the location is as it was: a
/// request that is still on its way may yet take effect, so the next attempt reads again.
async fn settle(
    attempt: &mut Attempt,
    intent: &WriteIntent,
    failure: Failure,
    location: &LocationId,
    reader: &Reader,
) -> Result<RunResult, Stop> {
    let Ok(now) = reader.side(location).await else { return Err(failure.into()) };
    match now.outcome_of(intent) {
        WriteOutcome::Applied => verify(attempt, intent, now.merchant.get().as_ref(), now.in_review),
        WriteOutcome::NotApplied => Err(failure.into()),
        WriteOutcome::Unknown => Err(unknown_outcome(intent, now.merchant.get().as_ref()).into()),
    }
}

/// Compares the merchant's record with what was written, and records what became of it: of the difference, only what was asked for and is
/// there is the run's.
fn verify(
    attempt: &mut Attempt,
    intent: &WriteIntent,
    actual: Option<&CategorySet>,
    in_review: bool,
) -> Result<RunResult, Stop> {
    let own = actual.map(|actual| visible_changes(&intent.changes, actual)).unwrap_or_default();
    let is_all_own = actual.is_some() && apply(intent.before.as_ref(), &own).as_ref() == actual;
    attempt.progress.written = own.into_iter().map(|change| change.recorded()).collect();
    // Another actor was there too: what the write has left is not known.
    attempt.progress.intent = (!is_all_own).then(|| intent.clone());
    attempt.standing.wrote(actual, in_review);
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
