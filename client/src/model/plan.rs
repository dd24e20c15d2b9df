//! What a run will change.

use std::fmt;

use category_mirror_proto::v1;
use chrono::{DateTime, Utc};

use super::{CategorySet, Change, category::named, wire};
use crate::{Printable, names};

/// What a run will change, before it changes it.
///
/// Shown as lines of plain text, without a line break at the end; the first character of a line says what it is:
///
/// ```text
/// ~ primary     gcid:restaurant (Restaurant) -> gcid:italian_restaurant (Italian restaurant)
/// + additional  gcid:bakery (Bakery)
/// - additional  gcid:liquor_store (Liquor store)
/// ! unmapped    cooking-classes (Cooking classes): maps to no GBP category, not sent
/// ! objection   INVALID_CATEGORY: not available in this region (field categories.additional_categories[0])
/// = merged      bread: maps to gcid:bakery, which is in the set already
/// = in sync     nothing to change
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Plan {
    /// The changes, the primary category first. Empty: in sync.
    pub changes: Vec<Change>,
    /// The target as it was read.
    pub observed: Option<CategorySet>,
    /// The target as it will be.
    pub desired: Option<CategorySet>,
    /// Categories of the source without a counterpart: reported, never sent.
    pub unmapped_categories: Vec<UnmappedCategory>,
    /// Categories of the source that add nothing of their own.
    pub merged_categories: Vec<MergedCategory>,
    /// Google's own objections to the update. Only a dry run asks for them.
    pub objections: Vec<Objection>,
    /// SHA-256, lower-case hexadecimal. Equal plans have equal hashes.
    pub hash: String,
    /// When the target was read.
    pub observe_time: Option<DateTime<Utc>>,
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
pub struct Objection {
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

    pub(crate) fn from_wire(wire: v1::Plan) -> Self {
        let unmapped = |u: v1::UnmappedCategory| UnmappedCategory {
            platform_category: u.platform_category,
            display_name: u.display_name,
        };
        let merged = |m: v1::MergedCategory| MergedCategory {
            platform_category: m.platform_category,
            gbp_category: m.gbp_category,
        };
        let objection =
            |o: v1::Objection| Objection { reason: o.reason, message: o.message, field: wire::text(o.field) };
        Self {
            changes: wire.changes.into_iter().map(Change::from_wire).collect(),
            observed: wire.observed.map(CategorySet::from_wire),
            desired: wire.desired.map(CategorySet::from_wire),
            unmapped_categories: wire.unmapped_categories.into_iter().map(unmapped).collect(),
            merged_categories: wire.merged_categories.into_iter().map(merged).collect(),
            objections: wire.objections.into_iter().map(objection).collect(),
            hash: wire.hash,
            observe_time: wire::time(wire.observe_time),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let changes = self.changes.iter().map(|line| line as &dyn fmt::Display);
        let unmapped = self.unmapped_categories.iter().map(|line| line as &dyn fmt::Display);
        let objections = self.objections.iter().map(|line| line as &dyn fmt::Display);
        let merged = self.merged_categories.iter().map(|line| line as &dyn fmt::Display);
        let in_sync = self.is_in_sync().then_some(&"= in sync     nothing to change" as &dyn fmt::Display);
        for (index, line) in changes.chain(in_sync).chain(unmapped).chain(objections).chain(merged).enumerate() {
            let lead = if index == 0 { "" } else { "\n" };
            write!(f, "{lead}{line}")?;
        }
        Ok(())
    }
}

impl fmt::Display for UnmappedCategory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("! unmapped    ")?;
        named(f, &self.platform_category, &self.display_name)?;
        f.write_str(": maps to no GBP category, not sent")
    }
}

impl fmt::Display for MergedCategory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [slug, gcid] = [&self.platform_category, &self.gbp_category].map(|name| Printable(names::short(name)));
        write!(f, "= merged      {slug}: maps to {gcid}, which is in the set already")
    }
}

impl fmt::Display for Objection {
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
