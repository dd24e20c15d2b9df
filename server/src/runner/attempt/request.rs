//! What a run was asked for beyond its strategy: the plan to apply, the run to take back, the guards that are overridden.

use std::collections::BTreeMap;

use super::attempt::{Abort, AttemptExecution};
use crate::{
    domain::{
        Category, CategorySet, Failure, FailureReason, GuardContext, GuardVerdict, LocationId, NotRevertible, Plan,
        RecordedPlan, RevertTarget, Run, RunId, Skip, SkipReason, SourceCategory, SourceError, StaleInput,
    },
    error::Error,
    store::TenantSnapshot,
};

/// The plan that a run applies, and the dry run that made it.
pub(super) struct PlanToApply {
    name: String,
    plan: RecordedPlan,
}

impl AttemptExecution {
    /// What beside the two sides decides about the guards.
    pub(super) fn guard_context(&self, source: &TenantSnapshot) -> GuardContext {
        GuardContext {
            limits: self.context.settings.guards,
            overridden: self.run.options.overridden_guards.clone(),
            is_first_run: source.last_success_at.is_none(),
        }
    }

    /// The plan that is to be applied, where the run was asked for one.
    pub(super) async fn plan_to_apply(&self) -> Result<Option<PlanToApply>, Abort> {
        let Some(id) = self.run.options.applied_plan else { return Ok(None) };
        let name = self.name_of(id);
        let run = self.context.store.run(id).await?;
        match run.and_then(|run| run.plan) {
            Some(plan) => Ok(Some(PlanToApply { name, plan })),
            None => Err(Abort::Skipped(plan_stale(&name, &format!("{name} is no longer kept"), &[], BTreeMap::new()))),
        }
    }

    /// The plan that reverts the run that is to be taken back, where there is one.
    pub(super) async fn revert_target(&self) -> Result<Option<(RunId, RevertTarget)>, Abort> {
        let Some(id) = self.run.options.revert_of else { return Ok(None) };
        let run = self.context.store.run(id).await?;
        let target = run.as_ref().ok_or(NotRevertible::IncompleteRecord).and_then(|run: &Run| RevertTarget::of(run));
        match target {
            Ok(target) => Ok(Some((id, target))),
            Err(why) => Err(self.not_revertible(&why).into()),
        }
    }

    pub(super) fn not_revertible(&self, why: &NotRevertible) -> Failure {
        let run = self.run.options.revert_of.map(|id| self.name_of(id)).unwrap_or_default();
        let failure = Failure::permanent(FailureReason::NotRevertible, format!("{run} cannot be taken back: {why}"))
            .with("run", run);
        match why {
            NotRevertible::Changed { left, now } | NotRevertible::Unresolved { left, now, .. } => {
                failure.with("expected", left).with("actual", now)
            }
            _ => failure,
        }
    }

    fn name_of(&self, run: RunId) -> String {
        format!("tenants/{}/runs/{run}", self.run.tenant)
    }
}

impl PlanToApply {
    /// Whether `now`, the same planned again, is this very plan.
    ///
    /// # Errors
    /// `PLAN_STALE`, with what has moved and how.
    pub(super) fn check<C: Category>(&self, now: &Plan<C>) -> Result<(), Abort> {
        let stale_inputs = now.stale_inputs(&self.plan);
        if stale_inputs.is_empty() {
            return Ok(());
        }
        let mut values = BTreeMap::new();
        let mut reported = Vec::new();
        for what in &stale_inputs {
            let (planned, now) = match what {
                StaleInput::Source | StaleInput::Mapping => (source(&self.plan.source), source(&now.source)),
                StaleInput::Target => (set(self.plan.observed.as_ref()), set(now.observed.as_ref())),
                StaleInput::GuardLimits => (limits(&self.plan.guards), limits(&now.guards)),
                StaleInput::Location => (location(self.plan.location.as_ref()), location(now.location.as_ref())),
            };
            reported.push(format!("{what} was {planned} and is {now}"));
            values.insert(format!("{what}_planned"), planned);
            values.insert(format!("{what}_now"), now);
        }
        values.insert("planned_hash".to_owned(), self.plan.hash().to_owned());
        values.insert("hash".to_owned(), now.hash().to_owned());
        Err(Abort::Skipped(plan_stale(&self.name, &reported.join("; "), &stale_inputs, values)))
    }

    /// The end of a run whose source can no longer be planned from: it could when the plan was made.
    pub(super) fn source_changed(&self, why: &SourceError) -> Abort {
        Abort::Skipped(plan_stale(&self.name, &why.to_string(), &[StaleInput::Source], BTreeMap::new()))
    }

    /// The end of a run whose target was changed at the last moment.
    pub(super) fn target_changed(&self) -> Abort {
        let why = "the target was changed just before the write";
        Abort::Skipped(plan_stale(&self.name, why, &[StaleInput::Target], BTreeMap::new()))
    }
}

fn plan_stale(plan: &str, why: &str, stale_inputs: &[StaleInput], mut metadata: BTreeMap<String, String>) -> Skip {
    let stale_inputs: Vec<&str> = stale_inputs.iter().map(|what| what.as_str()).collect();
    metadata.insert("plan".to_owned(), plan.to_owned());
    metadata.insert("moved".to_owned(), stale_inputs.join(","));
    Skip {
        reason: SkipReason::PlanStale,
        message: format!("the plan of {plan} no longer holds: {why}; make another dry run"),
        metadata,
    }
}

fn set<C: Category>(set: Option<&CategorySet<C>>) -> String {
    set.map_or_else(|| "without categories".to_owned(), ToString::to_string)
}

/// Such as `cafe (gcid:cafe), yoga (unmapped)`.
fn source(source: &[SourceCategory]) -> String {
    let shown = |c: &SourceCategory| {
        let gcid = c.gcid.as_ref().map_or_else(|| "unmapped".to_owned(), ToString::to_string);
        c.slug.as_ref().map_or_else(|| gcid.clone(), |slug| format!("{slug} ({gcid})"))
    };
    source.iter().map(shown).collect::<Vec<_>>().join(", ")
}

fn location(location: Option<&LocationId>) -> String {
    location.map_or_else(|| "without a location".to_owned(), LocationId::resource_name)
}

fn limits(guards: &[GuardVerdict]) -> String {
    guards.iter().map(|guard| format!("{} {}", guard.rule, guard.limit)).collect::<Vec<_>>().join(", ")
}

/// The failure of a run whose source cannot be mirrored.
pub(super) fn source_failure(error: SourceError) -> Failure {
    let reason = match &error {
        SourceError::Empty | SourceError::EmptyLocation => FailureReason::EmptySource,
        SourceError::UnmappedPrimary(_) => FailureReason::UnmappedPrimary,
        SourceError::TooMany { .. } => FailureReason::TooManyCategories,
        SourceError::NoFreeSlug(_) => FailureReason::InvalidCategory,
    };
    let failure = Failure::permanent(reason, error.to_string());
    match error {
        SourceError::Empty | SourceError::EmptyLocation => failure,
        SourceError::UnmappedPrimary(slug) => failure.with("platform_category", slug.resource_name()),
        SourceError::TooMany { count, limit } => failure.with("count", count).with("limit", limit),
        SourceError::NoFreeSlug(gcid) => failure.with("gbp_category", gcid.resource_name()),
    }
}

/// A record that is about the other side is a defect of ours.
pub(super) fn wrong_target(error: crate::domain::WrongTarget) -> Abort {
    Abort::ServiceError(Error::Internal(error.into()))
}
