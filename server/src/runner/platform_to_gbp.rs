//! The strategy in which the platform wins: read both sides, plan, write one update, verify.

use std::time::Instant;

use super::attempt::{Attempt, Stop};
use crate::{
    domain::{CategorySet, Failure, FailureReason, LocationId, Plan, RunResult, SourceError, Tenant, diff, map_to_gbp},
    gbp::{Location, Reader, Validator, WriteFailure, Writer},
    store::{BeginWrite, Intent, Source},
    wake::Hint,
};

/// Carries the strategy out. A dry run gets no [`Writer`]: what plans cannot write.
pub(super) async fn carry_out(attempt: &mut Attempt, source: Source) -> Result<RunResult, Stop> {
    let location = location_of(&source.tenant)?;
    let gbp = attempt.google(&source).await?.traced(attempt.traceparent.clone());
    let tenant = source.tenant.clone();
    let plan = plan(attempt, source, &location, &gbp.reader()).await?;
    if plan.is_empty() {
        return Ok(RunResult::Succeeded);
    }
    if attempt.claim.cancelled.is_cancelled() {
        return Err(Stop::Cancelled);
    }
    if attempt.run.kind.dry_run {
        rehearse(attempt, plan, &location, &gbp.validator()).await
    } else if let Some(skip) = attempt.switched_off(&tenant).await? {
        Ok(RunResult::Skipped(skip))
    } else {
        write(attempt, plan, &location, &gbp.reader(), &gbp.writer()).await
    }
}

fn location_of(tenant: &Tenant) -> Result<LocationId, Failure> {
    tenant.location.clone().ok_or_else(|| {
        let message = format!("tenants/{} has no GBP location", tenant.id);
        Failure::permanent(FailureReason::NoLocation, message)
    })
}

/// Reads the target, settles what an earlier attempt left open, and plans.
async fn plan(attempt: &mut Attempt, source: Source, location: &LocationId, reader: &Reader) -> Result<Plan, Stop> {
    let mapped = map_to_gbp(&source.categories, attempt.tools.settings.max_additional).map_err(source_failure)?;
    let observed = reader.location(location).await?.categories;
    settle(attempt, observed.as_ref());
    let plan = Plan::new(mapped, observed, source.read_at);
    attempt.progress.plan = Some(plan.clone());
    Ok(plan)
}

fn source_failure(error: SourceError) -> Failure {
    let reason = match &error {
        SourceError::Empty => FailureReason::EmptySource,
        SourceError::UnmappedPrimary(_) => FailureReason::UnmappedPrimary,
        SourceError::TooMany { .. } => FailureReason::TooManyCategories,
    };
    let failure = Failure::permanent(reason, error.to_string());
    match error {
        SourceError::Empty => failure,
        SourceError::UnmappedPrimary(slug) => failure.with("platform_category", slug.resource_name()),
        SourceError::TooMany { count, limit } => failure.with("count", count).with("limit", limit),
    }
}

/// Where an earlier attempt set out to write and never learnt whether it did, the location tells: then those changes are this run's.
fn settle(attempt: &mut Attempt, observed: Option<&CategorySet>) {
    attempt.progress.intent = None;
    let Some(intent) = attempt.unsettled.take() else { return };
    if observed == Some(&intent.after) {
        tracing::info!(run_id = %attempt.run.id, "an earlier attempt's write took effect");
        attempt.progress.written.extend(intent.changes);
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
    attempt.progress.plan = Some(plan);
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
        Ok(answer) => verify(attempt, &plan, &answer),
        Err(WriteFailure::Refused(failure)) => {
            attempt.progress.intent = None;
            Err(failure.into())
        }
        Err(WriteFailure::Unknown(failure)) => {
            // Unreadable too: the intent stays, and the next attempt asks again.
            let Ok(now) = reader.location(location).await else { return Err(failure.into()) };
            if now.categories == plan.observed { Err(failure.into()) } else { verify(attempt, &plan, &now) }
        }
    }
}

/// Compares the location with what was written, and records what became of it.
fn verify(attempt: &mut Attempt, plan: &Plan, location: &Location) -> Result<RunResult, Stop> {
    attempt.progress.intent = None;
    if location.categories.as_ref() == Some(&plan.desired) {
        attempt.progress.written.extend(plan.changes.iter().cloned());
        return Ok(RunResult::Succeeded);
    }
    if let Some(actual) = &location.categories {
        attempt.progress.written.extend(diff(plan.observed.as_ref(), actual));
    }
    let (expected, actual) = (shown(Some(&plan.desired)), shown(location.categories.as_ref()));
    let message = format!("after the write the location has {actual}, not {expected}");
    Err(Failure::permanent(FailureReason::VerifyMismatch, message)
        .with("expected", expected)
        .with("actual", actual)
        .into())
}

fn shown(set: Option<&CategorySet>) -> String {
    let Some(set) = set else { return "no categories".to_owned() };
    let additional: Vec<String> = set.additional().iter().map(|category| category.gcid.to_string()).collect();
    format!("{} [{}]", set.primary().gcid, additional.join(", "))
}
