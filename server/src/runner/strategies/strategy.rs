//! The steps that differ between the strategies.

use crate::{
    domain::{Category, EitherCategory, Plan},
    runner::attempt::{Abort, AttemptContext, Journal, Request},
    store::TenantSnapshot,
};

/// A strategy's steps on the way of an attempt. Each reads the context, notes what it learns in the journal, and returns; only
/// [`StrategySteps::write`] changes anything outside, and only with a capability.
pub(in crate::runner) trait StrategySteps: Sized {
    /// What the target has.
    type Category: Category + Into<EitherCategory>;
    /// The right to write the target. Only a real run of this strategy has one.
    type Capability;
    /// What a write shows of the target.
    type Written;

    /// Gets hold of what the steps need, and of the right to write: `None` for a dry run.
    async fn open(
        context: &AttemptContext,
        journal: &mut Journal,
        source: &TenantSnapshot,
    ) -> Result<(Self, Option<Self::Capability>), Abort>;

    /// Reads what of both sides is not read yet, and plans.
    async fn plan(
        &self,
        context: &AttemptContext,
        journal: &mut Journal,
        source: &TenantSnapshot,
        request: &Request,
    ) -> Result<Plan<Self::Category>, Abort>;

    /// Ends a dry run.
    async fn finish_dry_run(
        &self,
        context: &AttemptContext,
        journal: &mut Journal,
        plan: Plan<Self::Category>,
    ) -> Result<(), Abort>;

    /// Writes the target, once.
    async fn write(
        &self,
        context: &AttemptContext,
        journal: &mut Journal,
        source: &TenantSnapshot,
        request: &Request,
        plan: &Plan<Self::Category>,
        capability: Self::Capability,
    ) -> Result<Self::Written, Abort>;

    /// Compares the target with what was to be written, and notes what of it is the run's own.
    fn verify(&self, journal: &mut Journal, plan: &Plan<Self::Category>, written: Self::Written) -> Result<(), Abort>;
}
