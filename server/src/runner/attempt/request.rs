//! The other run that a run's request refers to: the dry run whose plan it applies, or the run that it reverts.

use super::{abort::Abort, context::AttemptContext};
use crate::domain::{AppliedPlan, Category, NotRevertible, Plan, RevertTarget, RunId, Skip};

/// What a run's request refers to.
pub(in crate::runner) struct Request {
    /// The plan to apply, and nothing else.
    pub(in crate::runner) applied: Option<AppliedPlan>,
    /// The run to revert, and what it has left.
    pub(in crate::runner) revert: Option<(RunId, RevertTarget)>,
}

impl Request {
    /// Reads what the request of the attempt's run refers to.
    pub(in crate::runner) async fn read(context: &AttemptContext) -> Result<Self, Abort> {
        let applied = match context.run.options.applied_plan {
            Some(id) => {
                // It may have gone with the history since the request was accepted.
                let dry_run = context.store().run(id).await?;
                Some(AppliedPlan::of(context.run_name(id), dry_run.and_then(|run| run.plan))?)
            }
            None => None,
        };
        let revert = match context.run.options.revert_of {
            Some(id) => {
                let run = context.store().run(id).await?;
                let target = run.as_ref().ok_or(NotRevertible::IncompleteRecord).and_then(RevertTarget::of);
                Some((id, target.map_err(|why| context.not_revertible(&why))?))
            }
            None => None,
        };
        Ok(Self { applied, revert })
    }

    /// Goes on unless `plan` is another than the one to apply.
    pub(in crate::runner) fn check<C: Category>(&self, plan: &Plan<C>) -> Result<(), Skip> {
        self.applied.as_ref().map_or(Ok(()), |applied| applied.check(plan))
    }
}
