//! The strategy in which Google wins: read both sides, plan, write the tenant's categories in one transaction. An attempt gives it a
//! reader of Google's side and has no more for it, so nothing is ever written there.

use super::{
    attempt::{Abort, AttemptExecution, SUPERSEDED},
    batch_guard,
    platform_to_gbp::location_of,
    run_options::{PlanToApply, source_failure, wrong_target},
};
use crate::{
    domain::{
        CategorySet, Failure, FailureReason, NotRevertible, Plan, PlatformWriteCapability, RevertTarget, RunId,
        RunResult, TenantCategory, View, enforce, map_to_platform,
    },
    store::{PlatformWriteResult, TenantSnapshot},
    wake::WakeUp,
};

/// Carries the strategy out.
pub(super) async fn execute(attempt: &mut AttemptExecution, source: &TenantSnapshot) -> Result<RunResult, Abort> {
    let applied = attempt.plan_to_apply().await?;
    let mut plan = match attempt.revert_target().await? {
        Some((run, target)) => plan_revert(attempt, source, run, &target).await?,
        None => plan(attempt, source, applied.as_ref()).await?,
    };
    plan.location_issues = attempt.sync_tracker.issues().to_vec();
    let plan = plan.at(source.tenant.location.clone());
    attempt.planned(plan.recorded());
    if !plan.is_empty() {
        attempt.assess(source).await?;
    }
    if let Some(applied) = &applied {
        applied.check(&plan)?;
    }
    let capability = match attempt.run.kind.platform_write_capability() {
        Some(capability) if !plan.is_empty() => capability,
        _ => return Ok(RunResult::Succeeded),
    };
    if attempt.claim.cancelled.is_cancelled() {
        return Err(Abort::Cancelled);
    }
    enforce(&plan.guards)?;
    if let Some(skip) = attempt.flag_skip(&source.tenant).await? {
        return Ok(RunResult::Skipped(skip));
    }
    batch_guard::pass(attempt, &plan.changes).await?;
    write(attempt, source, &plan, applied.as_ref(), capability).await
}

async fn plan(
    attempt: &mut AttemptExecution,
    source: &TenantSnapshot,
    applied: Option<&PlanToApply>,
) -> Result<Plan<TenantCategory>, Abort> {
    let location = location_of(&source.tenant)?;
    let view = attempt.run.options.view();
    let reader = attempt.reader(source).await?;
    let side = match view {
        View::Merchant => reader.merchant_view(&location).await?,
        View::Public => reader.both_views(&location).await?,
    };
    attempt.sync_tracker.observed(&side);
    attempt.sync_tracker.set_desired(attempt.desired(source));
    let at_google = match (view, side.public) {
        (View::Public, Some(public)) => public,
        _ => side.merchant,
    };
    let gcids: Vec<_> =
        at_google.get().iter().flat_map(|set| set.iter()).map(|category| category.gcid.clone()).collect();
    let platform = attempt.context.store.platform_catalog(&source.tenant.id, &gcids).await?;
    let mapped = map_to_platform(&at_google, &platform, &source.tenant.locale());
    let mapped = mapped.map_err(|error| match applied {
        Some(applied) => applied.source_changed(&error),
        None => source_failure(error).into(),
    })?;
    Ok(Plan::to_platform(view, mapped, platform.tenants_set(), &attempt.guard_context(source), source.read_at))
}

/// Plans what takes a run's changes back. Google is not asked.
async fn plan_revert(
    attempt: &mut AttemptExecution,
    source: &TenantSnapshot,
    run: RunId,
    target: &RevertTarget,
) -> Result<Plan<TenantCategory>, Abort> {
    attempt.sync_tracker.set_desired(attempt.desired(source));
    let observed = attempt.context.store.platform_catalog(&source.tenant.id, &[]).await?.tenants_set();
    let now: Option<_> = observed.get().clone().map(|set| set.recorded());
    target.check(now.as_ref()).map_err(|why| attempt.not_revertible(&why))?;
    let before = target.before.clone().try_map(TenantCategory::try_from).map_err(wrong_target)?;
    let before = with_own_names(before, observed.get().as_ref());
    Ok(Plan::revert(run, before, observed, &attempt.guard_context(source), source.read_at))
}

/// A name that has become the platform's own since is not Google's to bring back.
fn with_own_names(
    before: CategorySet<TenantCategory>,
    observed: Option<&CategorySet<TenantCategory>>,
) -> CategorySet<TenantCategory> {
    let named = |category: TenantCategory| {
        let own = observed.and_then(|set| set.get(&category)).filter(|now| now.imported_locale.is_none());
        Ok::<_, std::convert::Infallible>(own.cloned().unwrap_or(category))
    };
    match before.try_map(named) {
        Ok(named) => named,
        Err(never) => match never {},
    }
}

async fn write(
    attempt: &mut AttemptExecution,
    source: &TenantSnapshot,
    plan: &Plan<TenantCategory>,
    applied: Option<&PlanToApply>,
    capability: PlatformWriteCapability,
) -> Result<RunResult, Abort> {
    let mut progress = attempt.progress.clone();
    progress.written = plan.changes.iter().cloned().map(|change| change.recorded()).collect();
    progress.observation = attempt.sync_tracker.observation_after(&plan.desired);
    let (store, tenant) = (&attempt.context.store, &source.tenant);
    match store.write_platform(attempt.now, attempt.claim.held, tenant, plan, &progress, capability).await? {
        PlatformWriteResult::Written => {
            attempt.progress = progress;
            attempt.sync_tracker.wrote_platform(&plan.desired);
            attempt.context.wake.send(WakeUp::RunsChanged([attempt.run.id].into()));
            Ok(RunResult::Succeeded)
        }
        PlatformWriteResult::Cancelled => Err(Abort::Cancelled),
        PlatformWriteResult::LeaseLost => Err(Abort::LeaseLost),
        PlatformWriteResult::TargetChanged => Err(target_changed(attempt, tenant.id.resource_name(), applied)),
        PlatformWriteResult::Superseded => Err(Abort::Superseded(SUPERSEDED)),
    }
}

/// Somebody was quicker. Nothing was written.
fn target_changed(attempt: &AttemptExecution, tenant: String, applied: Option<&PlanToApply>) -> Abort {
    if let Some(applied) = applied {
        return applied.target_changed();
    }
    if attempt.run.options.revert_of.is_some() {
        return attempt.not_revertible(&NotRevertible::ConcurrentChange).into();
    }
    let message = format!("the categories or the location of {tenant} were changed between the read and the write");
    Failure::transient(FailureReason::TargetChanged, message).with("tenant", tenant).into()
}
