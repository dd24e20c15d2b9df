//! The strategy in which the platform wins: read both sides, plan, write one update, verify.

use std::time::Instant;

use super::{
    attempt::{Attempt, Stop},
    batch_guard,
    orders::{other_side, source_failure},
};
use crate::{
    domain::{
        CategorySet, Change, Failure, FailureReason, GbpCategory, LocationId, Plan, RunResult, Tenant, diff, enforce,
        map_to_gbp,
    },
    gbp::{Client, Reader, Side, Validator, WriteFailure, Writer},
    store::{BeginWrite, Intent, Source},
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
        None => write(attempt, plan, location, &google.reader(), &google.writer(word)).await,
    }
}

pub(super) fn location_of(tenant: &Tenant) -> Result<LocationId, Failure> {
    tenant.location.clone().ok_or_else(|| {
        let message = format!("tenants/{} has no GBP location", tenant.id);
        Failure::permanent(FailureReason::NoLocation, message)
    })
}

/// Reads the target, settles what an earlier attempt left open, and plans. `None`: there is nothing to do, or nothing more.
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
            let observed = read(attempt, source, location, reader).await?.merchant;
            if attempt.has_done_its_one_write() {
                return Ok(None);
            }
            let recorded = observed.get().clone().map(CategorySet::recorded);
            way.check(recorded.as_ref()).map_err(|why| attempt.not_revertible(&why))?;
            let before = way.before.try_map(GbpCategory::try_from).map_err(other_side)?;
            Plan::back(run, before, observed, &now, source.read_at)
        }
        None => {
            let mapped = map_to_gbp(&source.categories, attempt.tools.settings.max_additional);
            let mapped = match (mapped, &kept) {
                (Ok(mapped), _) => mapped,
                // What an earlier attempt wrote is to be found out in any case.
                (Err(error), Some(kept)) if attempt.unsettled.is_none() => return Err(kept.source_moved(&error)),
                (Err(error), _) => {
                    attempt.standing.wants(attempt.wanted(source));
                    return Err(source_failure(error).into());
                }
            };
            let side = read(attempt, source, location, reader).await?;
            if attempt.has_done_its_one_write() {
                return Ok(None);
            }
            let observed = side.target(&mapped.set);
            Plan::to_gbp(mapped, observed, &now, source.read_at)
        }
    };
    plan.location_issues = attempt.standing.issues().to_vec();
    attempt.progress.plan = Some(plan.recorded());
    if let Some(kept) = &kept {
        kept.check(&plan)?;
    }
    Ok((!plan.is_empty()).then_some(plan))
}

async fn read(attempt: &mut Attempt, source: &Source, location: &LocationId, reader: &Reader) -> Result<Side, Stop> {
    let side = reader.side(location).await?;
    attempt.standing.saw(&side);
    attempt.standing.wants(attempt.wanted(source));
    settle(attempt, &side);
    Ok(side)
}

/// Where an earlier attempt set out to write and never learnt whether it did, the location tells: then those changes are this run's.
fn settle(attempt: &mut Attempt, side: &Side) {
    attempt.progress.intent = None;
    let Some(intent) = attempt.unsettled.take() else { return };
    if side.has_taken(intent.before.as_ref(), &intent.after) {
        tracing::info!(run_id = %attempt.run.id, "an earlier attempt's write took effect");
        attempt.standing.has_written(&intent.after);
        attempt.progress.written.extend(intent.changes.into_iter().map(|change| change.recorded()));
    }
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
    plan: Plan,
    location: &LocationId,
    reader: &Reader,
    writer: &Writer,
) -> Result<RunResult, Stop> {
    let lease = attempt.tools.settings.lease;
    batch_guard::pass(attempt, &plan.changes).await?;
    attempt.progress.intent =
        Some(Intent { before: plan.observed.clone(), after: plan.desired.clone(), changes: plan.changes.clone() });
    let asked = Instant::now();
    let begun = attempt.tools.store.begin_write(attempt.now, attempt.claim.held, &attempt.progress, lease).await;
    if !matches!(begun, Ok(BeginWrite::Go)) {
        // Nothing is sent, so there is nothing to settle later.
        attempt.progress.intent = None;
    }
    match begun? {
        BeginWrite::Go => {
            attempt.claim.renewed(asked, lease);
            // The plan can be seen from now on.
            attempt.tools.wake.hint(Hint::Changed([attempt.run.id].into()));
        }
        BeginWrite::Cancelled => return Err(Stop::Cancelled),
        BeginWrite::Lost => return Err(Stop::Lost),
    }
    // The process may have been stopped since: without a lease there is no write.
    if !attempt.claim.is_live() {
        return Err(Stop::Lost);
    }
    match writer.replace_categories(location, &plan.desired).await {
        Ok(answer) => verify(attempt, &plan, answer.categories.get().as_ref(), answer.has_pending_edits),
        Err(WriteFailure::Refused(failure)) => {
            attempt.progress.intent = None;
            Err(failure.into())
        }
        Err(WriteFailure::Unknown(failure)) => {
            // Unreadable too: the intent stays, and the next attempt asks again.
            let Ok(now) = reader.side(location).await else { return Err(failure.into()) };
            if *now.target(&plan.desired).get() == plan.observed {
                Err(failure.into())
            } else {
                verify(attempt, &plan, now.merchant.get().as_ref(), now.in_review)
            }
        }
    }
}

/// Compares the merchant's record with what was written, and records what became of it.
fn verify(
    attempt: &mut Attempt,
    plan: &Plan,
    actual: Option<&CategorySet>,
    in_review: bool,
) -> Result<RunResult, Stop> {
    attempt.progress.intent = None;
    attempt.standing.wrote(actual, in_review);
    let recorded = |change: Change| change.recorded();
    if actual == Some(&plan.desired) {
        attempt.progress.written.extend(plan.changes.iter().cloned().map(recorded));
        return Ok(RunResult::Succeeded);
    }
    if let Some(actual) = actual {
        attempt.progress.written.extend(diff(plan.observed.as_ref(), actual).into_iter().map(recorded));
    }
    let actual = actual.map_or_else(|| "no categories".to_owned(), ToString::to_string);
    let message = format!("after the write the location has {actual}, not {}", plan.desired);
    Err(Failure::permanent(FailureReason::VerifyMismatch, message)
        .with("expected", &plan.desired)
        .with("actual", actual)
        .into())
}
