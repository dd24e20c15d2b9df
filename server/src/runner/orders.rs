//! What a run was asked for beyond its strategy: the plan to apply, the run to take back, the guards that are lifted.

use std::collections::BTreeMap;

use super::attempt::{Attempt, Stop};
use crate::{
    domain::{
        Category, CategorySet, Circumstances, Counterpart, Failure, FailureReason, GuardVerdict, LocationId, Moved,
        NotRevertible, Plan, RecordedPlan, Run, RunId, Skip, SkipReason, SourceError, WayBack,
    },
    error::Error,
    store::Source,
};

/// The plan that a run applies, and the dry run that made it.
pub(super) struct Kept {
    name: String,
    plan: RecordedPlan,
}

impl Attempt {
    /// What beside the two sides decides about the guards.
    pub(super) fn circumstances(&self, source: &Source) -> Circumstances {
        Circumstances {
            limits: self.tools.settings.guards,
            overridden: self.run.orders.override_guards.clone(),
            is_first_run: source.last_success_at.is_none(),
        }
    }

    /// The plan that is to be applied, where the run was asked for one.
    pub(super) async fn kept_plan(&self) -> Result<Option<Kept>, Stop> {
        let Some(id) = self.run.orders.plan else { return Ok(None) };
        let name = self.name_of(id);
        let run = self.tools.store.run(id).await?;
        match run.and_then(|run| run.plan) {
            Some(plan) => Ok(Some(Kept { name, plan })),
            None => Err(Stop::Skipped(stale(&name, &format!("{name} is no longer kept"), &[], BTreeMap::new()))),
        }
    }

    /// The way back from the run that is to be taken back, where there is one.
    pub(super) async fn way_back(&self) -> Result<Option<(RunId, WayBack)>, Stop> {
        let Some(id) = self.run.orders.reverts else { return Ok(None) };
        let run = self.tools.store.run(id).await?;
        let way = run.as_ref().ok_or(NotRevertible::Unrecorded).and_then(|run: &Run| WayBack::of(run));
        match way {
            Ok(way) => Ok(Some((id, way))),
            Err(why) => Err(self.not_revertible(&why).into()),
        }
    }

    pub(super) fn not_revertible(&self, why: &NotRevertible) -> Failure {
        let run = self.run.orders.reverts.map(|id| self.name_of(id)).unwrap_or_default();
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

impl Kept {
    /// Whether `now`, the same planned again, is this very plan.
    ///
    /// # Errors
    /// `PLAN_STALE`, with what has moved and how.
    pub(super) fn check<C: Category>(&self, now: &Plan<C>) -> Result<(), Stop> {
        let moved = now.moved_since(&self.plan);
        if moved.is_empty() {
            return Ok(());
        }
        let mut values = BTreeMap::new();
        let mut told = Vec::new();
        for what in &moved {
            let (planned, now) = match what {
                Moved::Source | Moved::Mapping => (source(&self.plan.source), source(&now.source)),
                Moved::Target => (set(self.plan.observed.as_ref()), set(now.observed.as_ref())),
                Moved::GuardLimits => (limits(&self.plan.guards), limits(&now.guards)),
                Moved::Location => (location(self.plan.location.as_ref()), location(now.location.as_ref())),
            };
            told.push(format!("{what} was {planned} and is {now}"));
            values.insert(format!("{what}_planned"), planned);
            values.insert(format!("{what}_now"), now);
        }
        values.insert("planned_hash".to_owned(), self.plan.hash().to_owned());
        values.insert("hash".to_owned(), now.hash().to_owned());
        Err(Stop::Skipped(stale(&self.name, &told.join("; "), &moved, values)))
    }

    /// The end of a run whose source can no longer be planned from: it could when the plan was made.
    pub(super) fn source_moved(&self, why: &SourceError) -> Stop {
        Stop::Skipped(stale(&self.name, &why.to_string(), &[Moved::Source], BTreeMap::new()))
    }

    /// The end of a run whose target was changed at the last moment.
    pub(super) fn target_moved(&self) -> Stop {
        let why = "the target was changed just before the write";
        Stop::Skipped(stale(&self.name, why, &[Moved::Target], BTreeMap::new()))
    }
}

fn stale(plan: &str, why: &str, moved: &[Moved], mut metadata: BTreeMap<String, String>) -> Skip {
    let moved: Vec<&str> = moved.iter().map(|what| what.as_str()).collect();
    metadata.insert("plan".to_owned(), plan.to_owned());
    metadata.insert("moved".to_owned(), moved.join(","));
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
fn source(source: &[Counterpart]) -> String {
    let shown = |c: &Counterpart| {
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
pub(super) fn other_side(error: crate::domain::OtherSide) -> Stop {
    Stop::Interrupted(Error::Internal(error.into()))
}
