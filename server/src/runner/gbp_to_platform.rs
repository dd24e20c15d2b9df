//! The strategy in which Google wins: read both sides, plan, write the tenant's categories in one transaction. An attempt gives it a
//! reader of Google's side and has no more for it, so nothing is ever written there.

use super::{
    attempt::{Attempt, SUPERSEDED, Stop},
    batch_guard,
    orders::{Kept, other_side, source_failure},
    platform_to_gbp::location_of,
};
use crate::{
    domain::{
        CategorySet, Failure, FailureReason, NotRevertible, Plan, RunId, RunResult, TenantCategory, View, WayBack,
        WritesPlatform, enforce, map_to_platform,
    },
    store::{PlatformWritten, Source},
    wake::Hint,
};

/// Carries the strategy out.
pub(super) async fn carry_out(attempt: &mut Attempt, source: &Source) -> Result<RunResult, Stop> {
    let kept = attempt.kept_plan().await?;
    let mut plan = match attempt.way_back().await? {
        Some((run, way)) => plan_back(attempt, source, run, &way).await?,
        None => plan(attempt, source, kept.as_ref()).await?,
    };
    plan.location_issues = attempt.standing.issues().to_vec();
    let plan = plan.at(source.tenant.location.clone());
    attempt.planned(plan.recorded());
    if !plan.is_empty() {
        attempt.assess(source).await?;
    }
    if let Some(kept) = &kept {
        kept.check(&plan)?;
    }
    let word = match attempt.run.kind.writes_platform() {
        Some(word) if !plan.is_empty() => word,
        _ => return Ok(RunResult::Succeeded),
    };
    if attempt.claim.cancelled.is_cancelled() {
        return Err(Stop::Cancelled);
    }
    enforce(&plan.guards)?;
    if let Some(skip) = attempt.switched_off(&source.tenant).await? {
        return Ok(RunResult::Skipped(skip));
    }
    batch_guard::pass(attempt, &plan.changes).await?;
    write(attempt, source, &plan, kept.as_ref(), word).await
}

async fn plan(attempt: &mut Attempt, source: &Source, kept: Option<&Kept>) -> Result<Plan<TenantCategory>, Stop> {
    let location = location_of(&source.tenant)?;
    let view = attempt.run.orders.view();
    let reader = attempt.reader(source).await?;
    let side = match view {
        View::Merchant => reader.side(&location).await?,
        View::Public => reader.both_views(&location).await?,
    };
    attempt.standing.saw(&side);
    attempt.standing.wants(attempt.wanted(source));
    let at_google = match (view, side.public) {
        (View::Public, Some(public)) => public,
        _ => side.merchant,
    };
    let gcids: Vec<_> =
        at_google.get().iter().flat_map(|set| set.iter()).map(|category| category.gcid.clone()).collect();
    let platform = attempt.tools.store.platform_side(&source.tenant.id, &gcids).await?;
    let mapped = map_to_platform(&at_google, &platform, &source.tenant.locale());
    let mapped = mapped.map_err(|error| match kept {
        Some(kept) => kept.source_moved(&error),
        None => source_failure(error).into(),
    })?;
    Ok(Plan::to_platform(view, mapped, platform.tenants_set(), &attempt.circumstances(source), source.read_at))
}

/// Plans what takes a run's changes back. Google is not asked.
async fn plan_back(
    attempt: &mut Attempt,
    source: &Source,
    run: RunId,
    way: &WayBack,
) -> Result<Plan<TenantCategory>, Stop> {
    attempt.standing.wants(attempt.wanted(source));
    let observed = attempt.tools.store.platform_side(&source.tenant.id, &[]).await?.tenants_set();
    let now: Option<_> = observed.get().clone().map(|set| set.recorded());
    way.check(now.as_ref()).map_err(|why| attempt.not_revertible(&why))?;
    let before = way.before.clone().try_map(TenantCategory::try_from).map_err(other_side)?;
    let before = with_own_names(before, observed.get().as_ref());
    Ok(Plan::back(run, before, observed, &attempt.circumstances(source), source.read_at))
}

/// A name that has become the platform's own since is not Google's to bring back.
fn with_own_names(
    before: CategorySet<TenantCategory>,
    observed: Option<&CategorySet<TenantCategory>>,
) -> CategorySet<TenantCategory> {
    let named = |category: TenantCategory| {
        let own = observed.and_then(|set| set.get(&category)).filter(|now| now.imported.is_none());
        Ok::<_, std::convert::Infallible>(own.cloned().unwrap_or(category))
    };
    match before.try_map(named) {
        Ok(named) => named,
        Err(never) => match never {},
    }
}

async fn write(
    attempt: &mut Attempt,
    source: &Source,
    plan: &Plan<TenantCategory>,
    kept: Option<&Kept>,
    word: WritesPlatform,
) -> Result<RunResult, Stop> {
    let mut progress = attempt.progress.clone();
    progress.written = plan.changes.iter().cloned().map(|change| change.recorded()).collect();
    progress.observation = attempt.standing.observation_after(&plan.desired);
    let (store, tenant) = (&attempt.tools.store, &source.tenant);
    match store.write_platform(attempt.now, attempt.claim.held, tenant, plan, &progress, word).await? {
        PlatformWritten::Done => {
            attempt.progress = progress;
            attempt.standing.wrote_platform(&plan.desired);
            attempt.tools.wake.hint(Hint::Changed([attempt.run.id].into()));
            Ok(RunResult::Succeeded)
        }
        PlatformWritten::Cancelled => Err(Stop::Cancelled),
        PlatformWritten::Lost => Err(Stop::Lost),
        PlatformWritten::Moved => Err(moved(attempt, tenant.id.resource_name(), kept)),
        PlatformWritten::Superseded => Err(Stop::Anew(SUPERSEDED)),
    }
}

/// Somebody was quicker. Nothing was written.
fn moved(attempt: &Attempt, tenant: String, kept: Option<&Kept>) -> Stop {
    if let Some(kept) = kept {
        return kept.target_moved();
    }
    if attempt.run.orders.reverts.is_some() {
        return attempt.not_revertible(&NotRevertible::Overtaken).into();
    }
    let message = format!("the categories or the location of {tenant} were changed between the read and the write");
    Failure::transient(FailureReason::TargetChanged, message).with("tenant", tenant).into()
}
