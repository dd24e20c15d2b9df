//! What a run will change, before it changes it.

use aws_lc_rs::digest;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{CategorySet, Change, GbpCategory, Mapped, Merged, Unmapped, diff};

/// One of Google's objections to an update, from its validation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Objection {
    /// Google's reason, such as `INVALID_CATEGORY`.
    pub reason: String,
    /// Google's words.
    pub message: String,
    /// The field objected to; empty where none was named.
    pub field: String,
}

/// What a run will change: pure data, made from two complete reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The changes. Empty: in sync.
    pub changes: Vec<Change>,
    /// The target as it was read; `None` is a location without categories.
    pub observed: Option<CategorySet>,
    /// The target as it will be.
    pub desired: CategorySet,
    /// What the source has and the target cannot have.
    pub unmapped: Vec<Unmapped>,
    /// What the source says twice.
    pub merged: Vec<Merged>,
    /// What Google's validation said. Only a dry run asks.
    pub objections: Vec<Objection>,
    /// SHA-256 of the canonical form, lower-case hexadecimal.
    pub hash: String,
    /// When the target was read.
    pub observed_at: DateTime<Utc>,
}

impl Plan {
    /// Plans the way from `observed` to what the source maps to.
    #[must_use]
    pub fn new(mapped: Mapped, observed: Option<CategorySet>, observed_at: DateTime<Utc>) -> Self {
        let desired = named_as_observed(mapped.set, observed.as_ref());
        let hash = hash(observed.as_ref(), &desired, &mapped.unmapped);
        Self {
            changes: diff(observed.as_ref(), &desired),
            observed,
            desired,
            unmapped: mapped.unmapped,
            merged: mapped.merged,
            objections: Vec::new(),
            hash,
            observed_at,
        }
    }

    /// Whether there is nothing to change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// A category's name is Google's to give: where the target has one, it is used instead of the platform's.
fn named_as_observed(desired: CategorySet, observed: Option<&CategorySet>) -> CategorySet {
    let named = |category: &GbpCategory| {
        let known = observed.and_then(|set| set.get(&category.gcid)).filter(|known| !known.display_name.is_empty());
        known.unwrap_or(category).clone()
    };
    let additional = desired.additional().iter().map(named).collect();
    CategorySet::new(named(desired.primary()), additional).expect("the identifiers are those of a set")
}

/// Hashes what decides about the changes, and nothing that may differ between equal plans: no names, no times.
fn hash(observed: Option<&CategorySet>, desired: &CategorySet, unmapped: &[Unmapped]) -> String {
    let set = |set: &CategorySet| {
        let additional: Vec<String> = set.additional().iter().map(|c| c.gcid.to_string()).collect();
        serde_json::json!([set.primary().gcid.to_string(), additional])
    };
    let mut unmapped: Vec<&str> = unmapped.iter().map(|u| u.slug.as_str()).collect();
    unmapped.sort_unstable();
    let canonical = serde_json::json!(["plan/1", observed.map(set), set(desired), unmapped]).to_string();
    let digest = digest::digest(&digest::SHA256, canonical.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Gcid;

    fn category(slug: &str, name: &str) -> GbpCategory {
        GbpCategory::new(Gcid::parse(&format!("gcid:{slug}")).expect("valid"), name)
    }

    fn set(primary: GbpCategory, additional: Vec<GbpCategory>) -> CategorySet {
        CategorySet::new(primary, additional).expect("a set")
    }

    fn plan(desired: CategorySet, observed: Option<CategorySet>) -> Plan {
        Plan::new(Mapped { set: desired, unmapped: vec![], merged: vec![] }, observed, Utc::now())
    }

    #[test]
    fn the_hash_depends_on_identifiers_only() {
        let one = plan(set(category("a", "A"), vec![category("b", "B"), category("c", "")]), None);
        let two = plan(set(category("a", "Other"), vec![category("c", "C"), category("b", "")]), None);
        assert_eq!(one.hash, two.hash);
        assert_eq!(one.hash.len(), 64);
        let moved = plan(set(category("b", ""), vec![category("a", ""), category("c", "")]), None);
        assert_ne!(one.hash, moved.hash);
    }

    #[test]
    fn names_come_from_google_where_it_gave_them() {
        let observed = set(category("a", "Google's A"), vec![]);
        let plan = plan(set(category("a", "Platform's A"), vec![category("b", "Platform's B")]), Some(observed));
        assert_eq!(plan.desired.primary().display_name, "Google's A");
        assert_eq!(plan.desired.additional()[0].display_name, "Platform's B");
    }

    #[test]
    fn an_equal_set_plans_nothing() {
        let same = set(category("a", ""), vec![category("b", "")]);
        assert!(plan(same.clone(), Some(same)).is_empty());
    }
}
