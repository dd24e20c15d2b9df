//! The strategy in which Google wins: read both sides, plan, write the tenant's categories in one transaction. It gets a reader of Google's
//! side and nothing else of it, so nothing is ever written there.

use super::strategy::StrategySteps;
use crate::{
    domain::{
        CategorySet, NotRevertible, Plan, PlatformWriteCapability, RevertTarget, RunId, TenantCategory, View,
        categories_changed, map_to_platform, no_location, source_failure,
    },
    error::Error,
    runner::attempt::{Abort, AttemptContext, Journal, Request, desired, gbp_reader},
    store::{PlatformWriteResult, TenantSnapshot},
    wake::WakeUp,
};

/// The steps of the strategy.
pub(in crate::runner) struct GbpToPlatform;

impl StrategySteps for GbpToPlatform {
    type Category = TenantCategory;
    type Capability = PlatformWriteCapability;
    /// What the transaction has recorded beside the categories.
    type Written = ();

    async fn open(
        context: &AttemptContext,
        _journal: &mut Journal,
        _source: &TenantSnapshot,
    ) -> Result<(Self, Option<PlatformWriteCapability>), Abort> {
        // Google only once it is to be read: a revert does without.
        Ok((Self, context.run.kind.platform_write_capability()))
    }

    async fn plan(
        &self,
        context: &AttemptContext,
        journal: &mut Journal,
        source: &TenantSnapshot,
        request: &Request,
    ) -> Result<Plan<TenantCategory>, Abort> {
        if let Some((run, target)) = &request.revert {
            return plan_revert(context, journal, source, *run, target).await;
        }
        let location = source.tenant.location.as_ref().ok_or_else(|| no_location(&source.tenant.id))?;
        let view = context.run.options.view();
        let reader = gbp_reader(context, journal, source).await?;
        let side = match view {
            View::Merchant => reader.merchant_view(location).await?,
            View::Public => reader.both_views(location).await?,
        };
        journal.observed(&side);
        journal.sync.set_desired(desired(context, source));
        let at_google = match (view, side.public) {
            (View::Public, Some(public)) => public,
            // The public sees what the merchant's record says.
            _ => side.merchant,
        };
        let gcids: Vec<_> =
            at_google.get().iter().flat_map(|set| set.iter()).map(|category| category.gcid.clone()).collect();
        // After the read of Google's side, which says what to look up; the connection is not held in between.
        let platform = context.store().platform_catalog(&source.tenant.id, &gcids).await?;
        let mapped = map_to_platform(&at_google, &platform, &source.tenant.locale());
        let mapped = mapped.map_err(|error| match &request.applied {
            Some(applied) => Abort::Skipped(applied.source_changed(&error)),
            None => Abort::Failed(source_failure(error)),
        })?;
        let guards = context.guard_context(source);
        Ok(Plan::to_platform(view, mapped, platform.tenants_set(), &guards, source.read_at))
    }

    async fn finish_dry_run(
        &self,
        _context: &AttemptContext,
        _journal: &mut Journal,
        _plan: Plan<TenantCategory>,
    ) -> Result<(), Abort> {
        // The plan is all: the platform has no validation of its own.
        Ok(())
    }

    async fn write(
        &self,
        context: &AttemptContext,
        journal: &mut Journal,
        source: &TenantSnapshot,
        request: &Request,
        plan: &Plan<TenantCategory>,
        capability: PlatformWriteCapability,
    ) -> Result<(), Abort> {
        // Categories and record are one transaction, so it needs no intent: the journal changes when both are there.
        let mut progress = journal.progress().clone();
        progress.written = plan.changes.iter().cloned().map(|change| change.recorded()).collect();
        progress.observation = journal.sync.observation_after(&plan.desired);
        let (store, tenant) = (context.store(), &source.tenant);
        match store.write_platform(context.now, context.lease.key, tenant, plan, &progress, capability).await? {
            PlatformWriteResult::Written => {
                // First of all: whatever ends the attempt from here on, its record must not lack what is committed.
                journal.wrote_platform(progress, &plan.desired);
                context.wake().send(WakeUp::RunsChanged([context.run.id].into()));
                Ok(())
            }
            PlatformWriteResult::Cancelled => Err(Abort::Cancelled),
            PlatformWriteResult::LeaseLost => Err(Abort::LeaseLost),
            PlatformWriteResult::TargetChanged => Err(target_changed(context, source, request)),
            PlatformWriteResult::Superseded => Err(Abort::Superseded),
        }
    }

    /// Nothing is left to compare: the transaction that wrote the target has compared it with the plan.
    fn verify(&self, _journal: &mut Journal, _plan: &Plan<TenantCategory>, (): ()) -> Result<(), Abort> {
        Ok(())
    }
}

/// Plans the revert of a run. Google is not asked.
async fn plan_revert(
    context: &AttemptContext,
    journal: &mut Journal,
    source: &TenantSnapshot,
    run: RunId,
    target: &RevertTarget,
) -> Result<Plan<TenantCategory>, Abort> {
    journal.sync.set_desired(desired(context, source));
    let observed = context.store().platform_catalog(&source.tenant.id, &[]).await?.tenants_set();
    let now: Option<_> = observed.get().clone().map(|set| set.recorded());
    target.check(now.as_ref()).map_err(|why| context.not_revertible(&why))?;
    // A record that is about the other side is a defect.
    let before = target.before.clone().try_map(TenantCategory::try_from);
    let before = with_own_names(before.map_err(|error| Error::Internal(error.into()))?, observed.get().as_ref());
    Ok(Plan::revert(run, before, observed, &context.guard_context(source), source.read_at))
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

/// The end of an attempt before whose write another actor changed the target. Nothing was written.
fn target_changed(context: &AttemptContext, source: &TenantSnapshot, request: &Request) -> Abort {
    if let Some(applied) = &request.applied {
        return applied.target_changed().into();
    }
    if context.run.options.revert_of.is_some() {
        return context.not_revertible(&NotRevertible::ConcurrentChange).into();
    }
    categories_changed(&source.tenant.id).into()
}
