//! A write to Google that an attempt sets out to make: recorded before it is sent, and kept until its outcome is known.

use serde::{Deserialize, Serialize};

use crate::{AccountId, Category, CategorySet, Change, LocationId, set_members};

/// A write that an attempt is about to send, or has sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteIntent {
    /// The target before.
    pub before: Option<CategorySet>,
    /// The target after.
    pub after: CategorySet,
    /// The changes from one to the other.
    pub changes: Vec<Change>,
    /// The location that is written. `None`: the tenant's, in rows of servers that did not record it.
    #[serde(default)]
    pub location: Option<LocationId>,
    /// The account in whose name it is written.
    #[serde(default)]
    pub account: Option<AccountId>,
}

/// What a later read of the target says about a write whose answer was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteOutcome {
    /// The target is what was asked for.
    Applied,
    /// The target is what it was before the write.
    NotApplied,
    /// The target is neither: another actor changed it, before the write or after it.
    Unknown,
}

/// Returns those of `changes` that can be seen in `actual`: what they put in is there, and what they take out is not. Only these are the
/// run's own; any other difference was made by another actor.
#[must_use]
pub fn visible_changes<C: Category>(changes: &[Change<C>], actual: &CategorySet<C>) -> Vec<Change<C>> {
    let members = set_members(actual);
    let is_visible = |change: &&Change<C>| {
        change.after().is_none_or(|after| members.contains(after))
            && change.before().is_none_or(|before| !members.contains(before))
    };
    changes.iter().filter(is_visible).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ChangeCounts, GbpCategory, Gcid, diff};

    fn set(slugs: &[&str]) -> CategorySet {
        let category = |slug: &&str| GbpCategory::new(Gcid::parse(&format!("gcid:{slug}")).expect("valid"), "");
        let mut categories = slugs.iter().map(category);
        CategorySet::new(categories.next().expect("a primary"), categories.collect()).expect("a set")
    }

    #[test]
    fn only_what_was_asked_for_and_is_there_is_the_runs_own() {
        for (before, asked, actual, own) in [
            // All of it.
            (&["a"][..], &["a", "b"][..], &["a", "b"][..], (1, 0, 0)),
            // Another actor's category is not the run's.
            (&["a"], &["a", "b"], &["a", "c"], (0, 0, 0)),
            (&["a"], &["a", "b"], &["a", "b", "c"], (1, 0, 0)),
            // Nothing was changed.
            (&["a", "b"], &["a"], &["a", "b"], (0, 0, 0)),
            // A removal is visible, an addition beside it is not.
            (&["a", "b"], &["a", "c"], &["a"], (0, 0, 1)),
            // A replaced primary category is one change: half of it is none.
            (&["a"], &["b"], &["c"], (0, 0, 0)),
            (&["a"], &["b"], &["b"], (0, 1, 0)),
        ] {
            let changes = diff(Some(&set(before)), &set(asked));
            let visible = ChangeCounts::of(&visible_changes(&changes, &set(actual)));
            assert_eq!((visible.created, visible.updated, visible.deleted), own, "{before:?} {asked:?} {actual:?}");
        }
    }
}
