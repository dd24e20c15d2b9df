//! The strategy in which the platform wins: read both sides, plan, write one update, verify.

use std::time::Instant;

use super::strategy::StrategySteps;
use crate::{
    domain::{
        CategorySet, GbpCategory, LocationId, NotRevertible, Plan, WriteIntent, WriteOutcome, location_changed,
        map_to_gbp, no_location, source_failure, unknown_outcome, write_not_sent,
    },
    error::Error,
    gbp::{LocationViews, Reader, Validator, WriteFailure, Writer},
    runner::attempt::{Abort, AttemptContext, GbpTarget, Journal, Request, desired, gbp_target},
    store::{BeginWriteResult, TenantSnapshot},
    wake::WakeUp,
};

/// How often an attempt compares its source while requests keep joining its run, before another attempt begins. It bounds a loop that one
/// comparison nearly always ends.
const MAX_SOURCE_CHECKS: usize = 10;

/// The steps of the strategy. What plans has no [`Writer`], and neither has a dry run.
pub(in crate::runner) struct PlatformToGbp {
    location: LocationId,
    reader: Reader,
    validator: Validator,
}

/// What the merchant's record is after a write.
pub(in crate::runner) struct GbpWritten {
    intent: WriteIntent,
    actual: Option<CategorySet>,
    in_review: bool,
}

impl StrategySteps for PlatformToGbp {
    type Category = GbpCategory;
    type Capability = Writer;
    type Written = GbpWritten;

    async fn open(
        context: &AttemptContext,
        journal: &mut Journal,
        source: &TenantSnapshot,
    ) -> Result<(Self, Option<Writer>), Abort> {
        let location = source.tenant.location.clone().ok_or_else(|| no_location(&source.tenant.id))?;
        let GbpTarget { reader, validator, writer } = gbp_target(context, journal, source).await?;
        Ok((Self { location, reader, validator }, writer))
    }

    async fn plan(
        &self,
        context: &AttemptContext,
        journal: &mut Journal,
        source: &TenantSnapshot,
        request: &Request,
    ) -> Result<Plan, Abort> {
        let guards = context.guard_context(source);
        if let Some((run, target)) = &request.revert {
            // Before the read: of another location, Google is not asked.
            target.check_location(&self.location).map_err(|why| context.not_revertible(&why))?;
            let observed = self.read(context, journal, source).await?.merchant;
            let recorded = observed.get().clone().map(CategorySet::recorded);
            target.check(recorded.as_ref()).map_err(|why| context.not_revertible(&why))?;
            // A record that is about the other side is a defect.
            let before = target.before.clone().try_map(GbpCategory::try_from);
            let before = before.map_err(|error| Error::Internal(error.into()))?;
            return Ok(Plan::revert(*run, before, observed, &guards, source.read_at));
        }
        // Mapped before the read: a source that cannot be written costs no request.
        let mapped = match (map_to_gbp(&source.categories, context.settings().max_additional), &request.applied) {
            (Ok(mapped), _) => mapped,
            (Err(error), Some(applied)) => return Err(applied.source_changed(&error).into()),
            (Err(error), None) => {
                journal.sync.set_desired(desired(context, source));
                return Err(source_failure(error).into());
            }
        };
        let side = self.read(context, journal, source).await?;
        let observed = side.target(&mapped.set);
        Ok(Plan::to_gbp(mapped, observed, &guards, source.read_at))
    }

    /// Adds Google's own objections to the plan.
    async fn finish_dry_run(
        &self,
        context: &AttemptContext,
        journal: &mut Journal,
        mut plan: Plan,
    ) -> Result<(), Abort> {
        if plan.is_empty() {
            return Ok(());
        }
        context.check_cancelled()?;
        plan.validation_errors = self.validator.validate(&self.location, &plan.desired).await?;
        journal.validated(&plan);
        Ok(())
    }

    async fn write(
        &self,
        context: &AttemptContext,
        journal: &mut Journal,
        source: &TenantSnapshot,
        _request: &Request,
        plan: &Plan,
        writer: Writer,
    ) -> Result<GbpWritten, Abort> {
        let intent = WriteIntent {
            before: plan.observed.clone(),
            after: plan.desired.clone(),
            changes: plan.changes.clone(),
            location: Some(self.location.clone()),
            account: source.tenant.account.clone(),
        };
        begin(context, journal, source, &intent).await?;
        // The process may have been stopped since: without a lease there is no write. The intent stays, for the next holder to check.
        if context.lease.expires_at().is_none() {
            return Err(Abort::LeaseLost);
        }
        // The writer asks for the deadline again when the request leaves: a token may have been waited for.
        let deadline = || context.lease.expires_at();
        match writer.replace_categories(&self.location, &intent.after, &deadline).await {
            Ok(answer) => {
                let (actual, in_review) = (answer.categories.into_inner(), answer.has_pending_edits);
                Ok(GbpWritten { intent, actual, in_review })
            }
            Err(WriteFailure::Refused(failure)) => {
                journal.not_applied();
                Err(failure.into())
            }
            Err(WriteFailure::Expired) => {
                journal.not_applied();
                Err(write_not_sent().into())
            }
            Err(WriteFailure::Unknown(failure)) => {
                // The intent stays if the read fails, and if the location is as it was: a request that is still on its way may yet take
                // effect, so the next attempt reads again.
                let Ok(now) = self.reader.merchant_view(&self.location).await else { return Err(failure.into()) };
                match now.outcome_of(&intent) {
                    WriteOutcome::Applied => {
                        let (actual, in_review) = (now.merchant.into_inner(), now.in_review);
                        Ok(GbpWritten { intent, actual, in_review })
                    }
                    WriteOutcome::NotApplied => Err(failure.into()),
                    WriteOutcome::Unknown => Err(unknown_outcome(&intent, now.merchant.get().as_ref()).into()),
                }
            }
        }
    }

    fn verify(&self, journal: &mut Journal, _plan: &Plan, written: GbpWritten) -> Result<(), Abort> {
        let GbpWritten { intent, actual, in_review } = written;
        match journal.wrote(&intent, actual.as_ref(), in_review) {
            Some(failure) => Err(failure.into()),
            None => Ok(()),
        }
    }
}

impl PlatformToGbp {
    async fn read(
        &self,
        context: &AttemptContext,
        journal: &mut Journal,
        source: &TenantSnapshot,
    ) -> Result<LocationViews, Abort> {
        let side = self.reader.merchant_view(&self.location).await?;
        journal.observed(&side);
        journal.sync.set_desired(desired(context, source));
        Ok(side)
    }
}

/// Records the intent, with what else the run is to be known by from now on, and asks whether it may be carried out.
async fn begin(
    context: &AttemptContext,
    journal: &mut Journal,
    source: &TenantSnapshot,
    intent: &WriteIntent,
) -> Result<(), Abort> {
    let lease = context.settings().lease;
    for _ in 0..MAX_SOURCE_CHECKS {
        // Before the statement: if the attempt ends while that runs, the journal knows what the database may have recorded.
        journal.intends(intent);
        let asked = Instant::now();
        let begun = context.store().begin_write(context.now, context.lease.key, journal.progress(), lease).await;
        if !matches!(begun, Ok(BeginWriteResult::Granted)) {
            journal.not_begun(begun.is_err());
        }
        match begun? {
            BeginWriteResult::Granted => {
                context.lease.renewed(asked, lease);
                // The plan can be seen from now on.
                context.wake().send(WakeUp::RunsChanged([context.run.id].into()));
                return Ok(());
            }
            BeginWriteResult::Cancelled => return Err(Abort::Cancelled),
            BeginWriteResult::LeaseLost => return Err(Abort::LeaseLost),
            BeginWriteResult::TargetChanged if context.run.options.revert_of.is_some() => {
                return Err(context.not_revertible(&NotRevertible::ConcurrentChange).into());
            }
            BeginWriteResult::TargetChanged => return Err(location_changed(&source.tenant.id).into()),
            // Asked again as long as requests keep joining for what is planned already.
            BeginWriteResult::Superseded if is_source_current(context, journal, source).await? => {}
            BeginWriteResult::Superseded => break,
        }
    }
    Err(Abort::Superseded)
}

/// Whether the source is still what the attempt goes by, although a request has joined the run since: then what the request asks for is what
/// the attempt is about to write, however the other side has changed.
async fn is_source_current(
    context: &AttemptContext,
    journal: &mut Journal,
    source: &TenantSnapshot,
) -> Result<bool, Error> {
    let mut now = context.store().tenant_snapshots(context.now, &[&context.run]).await?;
    let Some(now) = now.remove(&context.run.id) else { return Ok(false) };
    let is_current = now.tenant == source.tenant && now.categories == source.categories;
    if is_current {
        journal.read_source_at(now.read_at);
    }
    Ok(is_current)
}
