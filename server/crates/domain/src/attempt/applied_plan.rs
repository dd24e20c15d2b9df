//! The plan of a dry run that a later run applies, and nothing else.

use std::collections::BTreeMap;

use super::super::{
    Category, CategorySet, GuardVerdict, LocationId, Plan, RecordedPlan, Skip, SkipReason, SourceCategory, SourceError,
    StaleInput,
};

/// The plan that a run applies, and the dry run that made it.
#[derive(Debug, Clone, PartialEq)]
pub struct AppliedPlan {
    name: String,
    plan: RecordedPlan,
}

impl AppliedPlan {
    /// The plan of the dry run `name` (`tenants/{tenant}/runs/{run}`).
    ///
    /// # Errors
    /// `PLAN_STALE`, if the plan is no longer kept.
    pub fn of(name: String, plan: Option<RecordedPlan>) -> Result<Self, Skip> {
        match plan {
            Some(plan) => Ok(Self { name, plan }),
            None => Err(plan_stale(&name, &format!("{name} is no longer kept"), &[], BTreeMap::new())),
        }
    }

    /// Checks that `now`, which was planned from what both sides are now, is this very plan.
    ///
    /// # Errors
    /// `PLAN_STALE`, with each input that has changed, before and after.
    pub fn check<C: Category>(&self, now: &Plan<C>) -> Result<(), Skip> {
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
        Err(plan_stale(&self.name, &reported.join("; "), &stale_inputs, values))
    }

    /// The skip of a run whose source can no longer be planned from: it could when the plan was made.
    #[must_use]
    pub fn source_changed(&self, why: &SourceError) -> Skip {
        plan_stale(&self.name, &why.to_string(), &[StaleInput::Source], BTreeMap::new())
    }

    /// The skip of a run whose target was changed at the last moment.
    #[must_use]
    pub fn target_changed(&self) -> Skip {
        let why = "the target was changed just before the write";
        plan_stale(&self.name, why, &[StaleInput::Target], BTreeMap::new())
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
