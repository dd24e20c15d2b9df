//! Plans.

use std::fmt;

use category_mirror_proto::v1;
use chrono::{DateTime, Utc};

use super::{CategorySet, CategorySetMember, Change, GuardOutcome, GuardVerdict, LocationIssue, category::named, wire};
use crate::{Printable, names};

/// Everything that a run will change, recorded before it writes.
///
/// Displayed as lines of plain text, without a final line break. The first character of a line is its kind:
///
/// ```text
/// ~ primary     gcid:restaurant (Restaurant) -> gcid:italian_restaurant (Italian restaurant)
/// + additional  gcid:bakery (Bakery)
/// - additional  gcid:liquor_store (Liquor store)
/// x guard       primary_change: 1, at most 0 would pass: stopped
/// ! unmapped    cooking-classes (Cooking classes): maps to no GBP category, left out
/// ! objection   INVALID_CATEGORY: not available in this region (field categories.additional_categories[0])
/// ! location    no_voice_of_merchant: Google does not publish edits of it until the merchant has a voice
/// = merged      bread: maps to gcid:bakery, which is in the set already
/// = in sync     nothing to change
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Plan {
    /// The changes, the primary category first. Empty: in sync.
    pub changes: Vec<Change>,
    /// The source as it was read, the primary category first, each with the category that it maps to. Empty in a
    /// revert.
    pub source_categories: Vec<CategorySetMember>,
    /// The target as it was read, if Google is the target.
    pub observed: Option<CategorySet>,
    /// The target after the run, if Google is the target.
    pub desired: Option<CategorySet>,
    /// The target as it was read, if the platform is the target.
    pub observed_platform_categories: Vec<CategorySetMember>,
    /// The target after the run, if the platform is the target.
    pub desired_platform_categories: Vec<CategorySetMember>,
    /// The results of all guards. If a guard stops a real run, the run writes nothing.
    pub guard_verdicts: Vec<GuardVerdict>,
    /// Platform categories that are unmapped: never sent to Google, and left unchanged on the platform.
    pub unmapped_categories: Vec<UnmappedCategory>,
    /// Platform categories that map to the same GBP category as another category of the set.
    pub merged_categories: Vec<MergedCategory>,
    /// Errors that Google's validation of the update returned. Only a dry run requests a validation.
    pub validation_errors: Vec<ValidationError>,
    /// Why Google does not publish edits of the location, as it was read. Empty: Google publishes edits, or this was
    /// not read.
    pub location_issues: Vec<LocationIssue>,
    /// SHA-256 of `canonical_form`, in lower-case hexadecimal. Equal plans have equal hashes.
    pub hash: String,
    /// The input of `hash`: JSON, with identical bytes for equal plans.
    pub canonical_form: String,
    /// Time at which the target was read.
    pub observe_time: Option<DateTime<Utc>>,
    /// The GBP location that was read, `locations/{location}`. Not part of `hash`. `None`: not recorded.
    pub gbp_location: Option<String>,
}

/// A platform category of the source or target that is unmapped.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct UnmappedCategory {
    /// The platform category, `platformCategories/{slug}`.
    pub platform_category: String,
    /// Its display name.
    pub display_name: String,
}

/// A platform category that maps to the same GBP category as another category of the set.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct MergedCategory {
    /// The platform category, `platformCategories/{slug}`.
    pub platform_category: String,
    /// The GBP category that the set already contains, such as `categories/gcid:bakery`.
    pub gbp_category: String,
}

/// One error of Google's validation of an update.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ValidationError {
    /// Google's reason, such as `INVALID_CATEGORY`.
    pub reason: String,
    /// Google's message.
    pub message: String,
    /// The field that the error is about.
    pub field: Option<String>,
}

impl Plan {
    /// Whether there is nothing to change.
    #[must_use]
    pub fn is_in_sync(&self) -> bool {
        self.changes.is_empty()
    }

    /// Whether a guard stops a real run before it writes.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.guard_verdicts.iter().any(GuardVerdict::stops)
    }

    /// Returns the whole plan as JSON, in one line.
    #[cfg(feature = "serde")]
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("texts, numbers and lists of them")
    }

    pub(crate) fn from_wire(wire: v1::Plan) -> Self {
        let unmapped = |u: v1::UnmappedCategory| UnmappedCategory {
            platform_category: u.platform_category,
            display_name: u.display_name,
        };
        let merged = |m: v1::MergedCategory| MergedCategory {
            platform_category: m.platform_category,
            gbp_category: m.gbp_category,
        };
        let objection = |o: v1::ValidationError| ValidationError {
            reason: o.reason,
            message: o.message,
            field: wire::text(o.field),
        };
        let placed =
            |categories: Vec<v1::CategorySetMember>| categories.into_iter().map(CategorySetMember::from_wire).collect();
        Self {
            source_categories: placed(wire.source_categories),
            observed_platform_categories: placed(wire.observed_platform_categories),
            desired_platform_categories: placed(wire.desired_platform_categories),
            guard_verdicts: wire.guard_verdicts.into_iter().map(GuardVerdict::from_wire).collect(),
            canonical_form: wire.canonical_form,
            changes: wire.changes.into_iter().map(Change::from_wire).collect(),
            observed: wire.observed.map(CategorySet::from_wire),
            desired: wire.desired.map(CategorySet::from_wire),
            unmapped_categories: wire.unmapped_categories.into_iter().map(unmapped).collect(),
            merged_categories: wire.merged_categories.into_iter().map(merged).collect(),
            validation_errors: wire.validation_errors.into_iter().map(objection).collect(),
            location_issues: wire.location_issues.into_iter().map(LocationIssue::from_wire).collect(),
            hash: wire.hash,
            observe_time: wire::time(wire.observe_time),
            gbp_location: wire::text(wire.gbp_location),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let changes = self.changes.iter().map(|line| line as &dyn fmt::Display);
        let unmapped = self.unmapped_categories.iter().map(|line| line as &dyn fmt::Display);
        let validation_errors = self.validation_errors.iter().map(|line| line as &dyn fmt::Display);
        let merged = self.merged_categories.iter().map(|line| line as &dyn fmt::Display);
        let in_sync = self.is_in_sync().then_some(&"= in sync     nothing to change" as &dyn fmt::Display);
        // Guards that passed are not shown.
        let guards = self.guard_verdicts.iter().filter(|verdict| verdict.outcome != GuardOutcome::Passed);
        let guards = guards.map(|line| line as &dyn fmt::Display);
        let issues: Vec<IssueLine> = self.location_issues.iter().copied().map(IssueLine).collect();
        let issues = issues.iter().map(|line| line as &dyn fmt::Display);
        let notes = unmapped.chain(validation_errors).chain(issues).chain(merged);
        for (index, line) in changes.chain(in_sync).chain(guards).chain(notes).enumerate() {
            let lead = if index == 0 { "" } else { "\n" };
            write!(f, "{lead}{line}")?;
        }
        Ok(())
    }
}

/// A location issue, displayed as a line of a plan.
struct IssueLine(LocationIssue);

impl fmt::Display for IssueLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "! location    {}: {}", self.0, self.0.meaning())
    }
}

impl fmt::Display for UnmappedCategory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("! unmapped    ")?;
        named(f, &self.platform_category, &self.display_name)?;
        f.write_str(": maps to no GBP category, left out")
    }
}

impl fmt::Display for MergedCategory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [slug, gcid] = [&self.platform_category, &self.gbp_category].map(|name| Printable(names::short(name)));
        write!(f, "= merged      {slug}: maps to {gcid}, which is in the set already")
    }
}

impl fmt::Display for ValidationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "! objection   {}: {}", Printable(&self.reason), Printable(&self.message))?;
        match &self.field {
            Some(field) => write!(f, " (field {})", Printable(field)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
