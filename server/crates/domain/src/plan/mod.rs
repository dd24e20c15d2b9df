//! What a run will change, before it changes it.

pub(crate) mod change;
pub(crate) mod complete;
pub(crate) mod drift;
pub(crate) mod guard;
pub(crate) mod location_issue;
pub(crate) mod observation;
pub(crate) mod revert;
#[cfg(test)]
mod round_trip_tests;
pub(crate) mod write_intent;

use aws_lc_rs::digest;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    Category, CategorySet, Change, Complete, EitherCategory, GbpCategory, GuardContext, GuardVerdict, LocationId,
    LocationIssue, MappingResult, MergedCategory, RunId, SourceCategory, TenantCategory, UnmappedCategory, View, diff,
    evaluate_guards,
};

/// One of Google's objections to an update, from its validation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidationError {
    /// Google's reason, such as `INVALID_CATEGORY`.
    pub reason: String,
    /// Google's words.
    pub message: String,
    /// The field objected to; empty where none was named.
    pub field: String,
}

/// What a plan leads to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanSource {
    /// What the platform has.
    #[default]
    Platform,
    /// What Google has, in this record of it.
    Gbp(View),
    /// What was there before this run.
    Before(RunId),
}

/// What a run will change: pure data, made from two complete reads, or from one and the record of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan<C = GbpCategory> {
    /// The changes. Empty: in sync.
    pub changes: Vec<Change<C>>,
    /// Which side, or which run, says how the target shall be.
    #[serde(default)]
    pub from: PlanSource,
    /// The source as it was read, and what each of its categories stands for on the other side.
    #[serde(default)]
    pub source: Vec<SourceCategory>,
    /// The target as it was read; `None` is one without categories.
    pub observed: Option<CategorySet<C>>,
    /// The target as it will be.
    pub desired: CategorySet<C>,
    /// What has no counterpart: of the platform's categories in either case.
    pub unmapped: Vec<UnmappedCategory>,
    /// What the platform says twice.
    pub merged: Vec<MergedCategory>,
    /// What Google's validation said. Only a dry run asks.
    pub validation_errors: Vec<ValidationError>,
    /// What every guard says.
    #[serde(default)]
    pub guards: Vec<GuardVerdict>,
    /// Why Google does not publish edits of the location. It decides about no change, so it is no part of the canonical form.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub location_issues: Vec<LocationIssue>,
    /// Private, so that no other code can make a plan.
    hash: String,
    /// When the target was read.
    pub observed_at: DateTime<Utc>,
    /// The GBP location that was read. Not part of the hash: it is checked beside it.
    #[serde(default)]
    pub location: Option<LocationId>,
}

/// A plan for whichever side, as a run records it.
pub type RecordedPlan = Plan<EitherCategory>;

impl Plan {
    /// Plans the way from what a location has to what the platform's categories stand for.
    #[must_use]
    pub fn to_gbp(
        mapped: MappingResult,
        observed: Complete<Option<CategorySet>>,
        now: &GuardContext,
        observed_at: DateTime<Utc>,
    ) -> Self {
        let desired = named_as_observed(mapped.set, observed.get().as_ref());
        let source = (PlanSource::Platform, mapped.source);
        Self::make(source, observed, desired, (mapped.unmapped, mapped.merged), now, observed_at)
    }
}

impl Plan<TenantCategory> {
    /// Plans the way from what a tenant has to the platform categories that stand for Google's.
    #[must_use]
    pub fn to_platform(
        view: View,
        mapped: MappingResult<TenantCategory>,
        observed: Complete<Option<CategorySet<TenantCategory>>>,
        now: &GuardContext,
        observed_at: DateTime<Utc>,
    ) -> Self {
        let source = (PlanSource::Gbp(view), mapped.source);
        Self::make(source, observed, mapped.set, (mapped.unmapped, mapped.merged), now, observed_at)
    }
}

impl<C: Category> Plan<C> {
    /// Plans to restore what was there before a run.
    #[must_use]
    pub fn revert(
        run: RunId,
        before: CategorySet<C>,
        observed: Complete<Option<CategorySet<C>>>,
        now: &GuardContext,
        observed_at: DateTime<Utc>,
    ) -> Self {
        let source = (PlanSource::Before(run), Vec::new());
        Self::make(source, observed, before, (Vec::new(), Vec::new()), now, observed_at)
    }

    fn make(
        (from, mut source): (PlanSource, Vec<SourceCategory>),
        observed: Complete<Option<CategorySet<C>>>,
        desired: CategorySet<C>,
        (unmapped, merged): (Vec<UnmappedCategory>, Vec<MergedCategory>),
        now: &GuardContext,
        observed_at: DateTime<Utc>,
    ) -> Self {
        let observed = observed.into_inner();
        // The order of what is additional means nothing.
        source.sort_by(|a, b| a.identity().cmp(&b.identity()));
        let mut plan = Self {
            changes: diff(observed.as_ref(), &desired),
            from,
            source,
            guards: evaluate_guards(observed.as_ref(), &desired, now),
            observed,
            desired,
            unmapped,
            merged,
            validation_errors: Vec::new(),
            location_issues: Vec::new(),
            hash: String::new(),
            observed_at,
            location: None,
        };
        plan.hash = sha256(&plan.canonical());
        plan
    }

    /// The same, read at this location.
    #[must_use]
    pub fn at(self, location: Option<LocationId>) -> Self {
        Self { location, ..self }
    }

    /// Whether there is nothing to change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// SHA-256 of [`Plan::canonical`], lower-case hexadecimal.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The canonical form: all that decides about the changes and whether they may be made, and nothing that may differ between equal
    /// plans, such as times and names that nobody writes. JSON without spaces, always of the same bytes:
    ///
    /// `["plan/2", from, source, observed, desired, limits]`, where `source` is a list of `[role, slug, gcid]`, what is missing
    /// `null`; a set is `[primary, [additional, …]]`, or `null` where there is none; a category is its gcid or its slug, or
    /// `[slug, name]` where the name is Google's and is written, too; `limits` is a list of `[rule, limit]`. Lists are sorted.
    #[must_use]
    pub fn canonical(&self) -> String {
        let source: Vec<Value> = self.source.iter().map(|c| json!([c.role, c.slug, c.gcid])).collect();
        let limits: Vec<Value> = self.guards.iter().map(|guard| json!([guard.rule, guard.limit])).collect();
        let (observed, desired) = (self.observed.as_ref().map(canonical_set), canonical_set(&self.desired));
        json!(["plan/2", self.from, source, observed, desired, limits]).to_string()
    }

    /// What has moved since `kept` was planned, when the same was planned again as `self`. Nothing: the two are the same plan.
    #[must_use]
    pub fn stale_inputs<D: Category>(&self, kept: &Plan<D>) -> Vec<StaleInput> {
        let elsewhere = self.location.as_ref().zip(kept.location.as_ref()).is_some_and(|(now, then)| now != then);
        if elsewhere {
            return vec![StaleInput::Location];
        }
        if self.hash == kept.hash {
            return Vec::new();
        }
        // What the source's own side says, without what it stands for on the other.
        let side = |plan: &[SourceCategory], from: PlanSource| {
            let is_gbp = matches!(from, PlanSource::Gbp(_));
            let own = |c: &SourceCategory| {
                if is_gbp { (c.role, None, c.gcid.clone()) } else { (c.role, c.slug.clone(), None) }
            };
            let mut side: Vec<_> = plan.iter().map(own).collect();
            side.sort();
            side
        };
        let mapped = |source: &[SourceCategory]| {
            source.iter().map(SourceCategory::identity).eq(kept.source.iter().map(SourceCategory::identity))
        };
        let limits = |guards: &[GuardVerdict]| guards.iter().map(|g| (g.rule, g.limit)).collect::<Vec<_>>();
        let source = side(&self.source, self.from) != side(&kept.source, kept.from);
        let target = self.observed.as_ref().map(canonical_set) != kept.observed.as_ref().map(canonical_set);
        let guards = limits(&self.guards) != limits(&kept.guards);
        // What is left when the sides are as they were is what leads from one to the other.
        let mapping = !source && (!mapped(&self.source) || !(target || guards));
        [
            (source, StaleInput::Source),
            (mapping, StaleInput::Mapping),
            (target, StaleInput::Target),
            (guards, StaleInput::GuardLimits),
        ]
        .into_iter()
        .filter_map(|(has_moved, what)| has_moved.then_some(what))
        .collect()
    }

    /// The plan as a run records it.
    #[must_use]
    pub fn recorded(&self) -> RecordedPlan
    where
        C: Into<EitherCategory>,
    {
        let plan = self.clone();
        Plan {
            changes: plan.changes.into_iter().map(Change::recorded).collect(),
            from: plan.from,
            source: plan.source,
            observed: plan.observed.map(CategorySet::recorded),
            desired: plan.desired.recorded(),
            unmapped: plan.unmapped,
            merged: plan.merged,
            validation_errors: plan.validation_errors,
            guards: plan.guards,
            location_issues: plan.location_issues,
            hash: plan.hash,
            observed_at: plan.observed_at,
            location: plan.location,
        }
    }
}

crate::failure::text_enum! {
    /// What has moved since a plan was made.
    StaleInput {
        /// The side that wins.
        Source = "source",
        /// What stands for what.
        Mapping = "mapping",
        /// The side that is written.
        Target = "target",
        /// The limits of the guards.
        GuardLimits = "guard_limits",
        /// The tenant's GBP location: another one than the plan was made for.
        Location = "location",
    }
}

/// A category's name is Google's to give: where the target has one, it is used instead of the platform's.
#[must_use]
pub fn named_as_observed(desired: CategorySet, observed: Option<&CategorySet>) -> CategorySet {
    let named = |category: GbpCategory| {
        let known = observed.and_then(|set| set.get(&category)).filter(|known| !known.display_name.is_empty());
        Ok::<_, std::convert::Infallible>(known.cloned().unwrap_or(category))
    };
    match desired.try_map(named) {
        Ok(named) => named,
        Err(never) => match never {},
    }
}

fn canonical_set<C: Category>(set: &CategorySet<C>) -> Value {
    json!([set.primary().canonical(), set.additional().iter().map(Category::canonical).collect::<Vec<_>>()])
}

fn sha256(text: &str) -> String {
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
