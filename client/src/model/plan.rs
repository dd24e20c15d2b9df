//! What a run will change.

use std::fmt;

use category_mirror_proto::v1;
use chrono::{DateTime, Utc};

use super::{CategorySet, CategorySetMember, Change, GuardOutcome, GuardVerdict, LocationIssue, category::named, wire};
use crate::{Printable, names};

/// What a run will change, before it changes it.
///
/// Shown as lines of plain text, without a line break at the end; the first character of a line says what it is:
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
    /// The source as it was read, the primary category first, each with what it stands for on the other side. Empty in a revert.
    pub source_categories: Vec<CategorySetMember>,
    /// The target as it was read, where it is Google's.
    pub observed: Option<CategorySet>,
    /// The target as it will be, where it is Google's.
    pub desired: Option<CategorySet>,
    /// The target as it was read, where it is the platform's.
    pub observed_platform_categories: Vec<CategorySetMember>,
    /// The target as it will be, where it is the platform's.
    pub desired_platform_categories: Vec<CategorySetMember>,
    /// What every guard says. A real run that one of them stops writes nothing.
    pub guard_verdicts: Vec<GuardVerdict>,
    /// Platform categories without a counterpart: never sent to Google, and left alone on the platform.
    pub unmapped_categories: Vec<UnmappedCategory>,
    /// Platform categories that add nothing of their own.
    pub merged_categories: Vec<MergedCategory>,
    /// Google's own objections to the update. Only a dry run asks for them.
    pub validation_errors: Vec<ValidationError>,
    /// Why Google does not publish edits of the location, as it was read. Empty: it does, or it was not read.
    pub location_issues: Vec<LocationIssue>,
    /// SHA-256, lower-case hexadecimal. Equal plans have equal hashes.
    pub hash: String,
    /// What `hash` is the SHA-256 of: JSON, always of the same bytes for equal plans.
    pub canonical_form: String,
    /// When the target was read.
    pub observe_time: Option<DateTime<Utc>>,
    /// The GBP location that was read, `locations/{location}`. It is not part of `hash`. `None`: not recorded.
    pub gbp_location: Option<String>,
}

/// A category of the source that maps to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct UnmappedCategory {
    /// `platformCategories/{slug}`.
    pub platform_category: String,
    /// Its name for people.
    pub display_name: String,
}

/// A category of the source that maps to the same GBP category as another one of the set.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct MergedCategory {
    /// `platformCategories/{slug}`.
    pub platform_category: String,
    /// The GBP category that the set has already, `categories/gcid:…`.
    pub gbp_category: String,
}

/// One of Google's objections to an update.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ValidationError {
    /// Google's reason, such as `INVALID_CATEGORY`.
    pub reason: String,
    /// Google's words.
    pub message: String,
    /// The field objected to.
    pub field: Option<String>,
}

impl Plan {
    /// Whether there is nothing to change.
    #[must_use]
    pub fn is_in_sync(&self) -> bool {
        self.changes.is_empty()
    }

    /// Whether a guard keeps a real run from writing this.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.guard_verdicts.iter().any(GuardVerdict::stops)
    }

    /// The plan as JSON, all of it, in one line.
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
        // What passes is no news.
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

/// A location issue as a line of a plan.
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
