//! The difference between two category sets.

use serde::{Deserialize, Serialize};

use crate::{Category, CategorySet, EitherCategory, GbpCategory};

/// The role of a category in a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CategoryRole {
    /// The one primary category.
    Primary,
    /// One of the additional categories.
    Additional,
}

/// A category in its role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetMember<C = GbpCategory> {
    /// The category.
    pub category: C,
    /// Its role.
    pub role: CategoryRole,
}

/// One change of a target.
///
/// Taking every `before` out of a set and putting every `after` in makes the set that was planned: [`apply`] does, [`diff`] undoes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "operation")]
pub enum Change<C = GbpCategory> {
    /// The target gains a category.
    Create {
        /// What it gains.
        after: SetMember<C>,
    },
    /// A category changes its role or its name, or one primary category replaces another.
    Update {
        /// What was there.
        before: SetMember<C>,
        /// What is there instead.
        after: SetMember<C>,
    },
    /// The target loses a category.
    Delete {
        /// What it loses.
        before: SetMember<C>,
    },
}

/// A change of whichever side, as a run records it.
pub type RecordedChange = Change<EitherCategory>;

impl<C> Change<C> {
    /// What it takes out.
    #[must_use]
    pub fn before(&self) -> Option<&SetMember<C>> {
        match self {
            Self::Create { .. } => None,
            Self::Update { before, .. } | Self::Delete { before } => Some(before),
        }
    }

    /// What it puts in.
    #[must_use]
    pub fn after(&self) -> Option<&SetMember<C>> {
        match self {
            Self::Create { after } | Self::Update { after, .. } => Some(after),
            Self::Delete { .. } => None,
        }
    }
}

impl<C: Category> Change<C> {
    fn reading_order(&self) -> (CategoryRole, &str) {
        let role = [self.before(), self.after()].into_iter().flatten().map(|p| p.role).min();
        let shown = self.after().or(self.before());
        // Each change has a side, by construction of the enum.
        let shown = shown.expect("a change has a before or an after");
        (role.unwrap_or(shown.role), shown.category.key())
    }

    /// The change as a run records it.
    #[must_use]
    pub fn recorded(self) -> RecordedChange
    where
        C: Into<EitherCategory>,
    {
        let member = |member: SetMember<C>| SetMember { category: member.category.into(), role: member.role };
        match self {
            Self::Create { after } => Change::Create { after: member(after) },
            Self::Update { before, after } => Change::Update { before: member(before), after: member(after) },
            Self::Delete { before } => Change::Delete { before: member(before) },
        }
    }
}

/// How many changes of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChangeCounts {
    /// [`Change::Create`].
    pub created: i32,
    /// [`Change::Update`].
    pub updated: i32,
    /// [`Change::Delete`].
    pub deleted: i32,
}

impl ChangeCounts {
    /// Counts changes by their kind.
    #[must_use]
    pub fn of<C>(changes: &[Change<C>]) -> Self {
        changes.iter().fold(Self::default(), |mut counts, change| {
            match change {
                Change::Create { .. } => counts.created += 1,
                Change::Update { .. } => counts.updated += 1,
                Change::Delete { .. } => counts.deleted += 1,
            }
            counts
        })
    }
}

/// The changes that make `after` of `before`, the primary category's first, then by identity. `None` is a target without categories.
#[must_use]
pub fn diff<C: Category>(before: Option<&CategorySet<C>>, after: &CategorySet<C>) -> Vec<Change<C>> {
    let old: Vec<SetMember<C>> = before.map(set_members).unwrap_or_default();
    let new = set_members(after);

    let mut lost: Vec<&SetMember<C>> = old.iter().filter(|o| !new.iter().any(|n| n.category == o.category)).collect();
    let mut changes = Vec::new();
    for after in &new {
        match old.iter().find(|o| o.category == after.category) {
            Some(before) if before.role == after.role && !after.category.renames(&before.category) => {}
            Some(before) => changes.push(Change::Update { before: before.clone(), after: after.clone() }),
            // A new primary category in the place of one that goes is one change to a person, not two.
            None if after.role == CategoryRole::Primary
                && lost.first().is_some_and(|l| l.role == CategoryRole::Primary) =>
            {
                changes.push(Change::Update { before: lost.remove(0).clone(), after: after.clone() });
            }
            None => changes.push(Change::Create { after: after.clone() }),
        }
    }
    changes.extend(lost.into_iter().map(|before| Change::Delete { before: before.clone() }));
    changes.sort_by(|a, b| a.reading_order().cmp(&b.reading_order()));
    changes
}

/// Applies changes to a set; the inverse question of [`diff`]. `None` when the result would be no category set.
#[must_use]
pub fn apply<C: Category>(set: Option<&CategorySet<C>>, changes: &[Change<C>]) -> Option<CategorySet<C>> {
    let mut members: Vec<SetMember<C>> = set.map(set_members).unwrap_or_default();
    members.retain(|member| !changes.iter().filter_map(Change::before).any(|before| before == member));
    members.extend(changes.iter().filter_map(Change::after).cloned());
    set_of(members)
}

/// Takes changes back, the last one first: what a set was before them. `None` when the set is not what they left, or was none before.
///
/// They may be those of several steps, one after the other.
#[must_use]
pub fn undo<C: Category>(set: &CategorySet<C>, changes: &[Change<C>]) -> Option<CategorySet<C>> {
    let mut members = set_members(set);
    for change in changes.iter().rev() {
        if let Some(after) = change.after() {
            let position = members.iter().position(|member| member == after)?;
            members.swap_remove(position);
        }
        members.extend(change.before().cloned());
    }
    set_of(members)
}

fn set_of<C: Category>(members: Vec<SetMember<C>>) -> Option<CategorySet<C>> {
    let (primary, additional): (Vec<_>, Vec<_>) = members.into_iter().partition(|p| p.role == CategoryRole::Primary);
    let [primary] = <[SetMember<C>; 1]>::try_from(primary).ok()?;
    CategorySet::new(primary.category, additional.into_iter().map(|p| p.category).collect()).ok()
}

/// The categories of a set in their roles, the primary one first.
#[must_use]
pub fn set_members<C: Category>(set: &CategorySet<C>) -> Vec<SetMember<C>> {
    let additional = set.additional().iter().map(|c| SetMember { category: c.clone(), role: CategoryRole::Additional });
    std::iter::once(SetMember { category: set.primary().clone(), role: CategoryRole::Primary })
        .chain(additional)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Gcid;
    use proptest::prelude::*;

    fn set(slugs: &[&str]) -> CategorySet {
        let mut categories =
            slugs.iter().map(|slug| GbpCategory::new(Gcid::parse(&format!("gcid:{slug}")).expect("valid"), ""));
        let primary = categories.next().expect("a primary");
        CategorySet::new(primary, categories.collect()).expect("a set")
    }

    fn shown(before: Option<&CategorySet>, after: &CategorySet) -> Vec<String> {
        let side = |p: &SetMember| format!("{}:{:?}", p.category.gcid, p.role);
        diff(before, after)
            .iter()
            .map(|change| match change {
                Change::Create { after } => format!("+ {}", side(after)),
                Change::Update { before, after } => format!("~ {} -> {}", side(before), side(after)),
                Change::Delete { before } => format!("- {}", side(before)),
            })
            .collect()
    }

    #[test]
    fn a_replaced_primary_is_one_update() {
        assert_eq!(shown(Some(&set(&["a", "x"])), &set(&["b", "x"])), ["~ gcid:a:Primary -> gcid:b:Primary"]);
    }

    #[test]
    fn swapped_roles_are_updates_not_deletions() {
        assert_eq!(
            shown(Some(&set(&["a", "b"])), &set(&["b", "a"])),
            ["~ gcid:a:Primary -> gcid:a:Additional", "~ gcid:b:Additional -> gcid:b:Primary"]
        );
    }

    #[test]
    fn a_promotion_that_drops_the_old_primary_says_both() {
        assert_eq!(
            shown(Some(&set(&["a", "b"])), &set(&["b"])),
            ["- gcid:a:Primary", "~ gcid:b:Additional -> gcid:b:Primary"]
        );
    }

    #[test]
    fn an_empty_target_gains_everything() {
        assert_eq!(shown(None, &set(&["b", "a"])), ["+ gcid:b:Primary", "+ gcid:a:Additional"]);
    }

    fn any_set() -> impl Strategy<Value = CategorySet> {
        proptest::sample::subsequence(vec!["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"], 1..=10)
            .prop_shuffle()
            .prop_map(|slugs| set(&slugs))
    }

    proptest! {
        #[test]
        fn applying_a_difference_gives_the_other_set(before in proptest::option::of(any_set()), after in any_set()) {
            let changes = diff(before.as_ref(), &after);
            prop_assert_eq!(apply(before.as_ref(), &changes), Some(after.clone()));
            prop_assert!(diff(Some(&after), &after).is_empty());
            if let Some(before) = &before {
                prop_assert_eq!(apply(Some(&after), &diff(Some(&after), before)), Some(before.clone()));
                prop_assert_eq!(undo(&after, &changes), Some(before.clone()));
            }
            let counts = ChangeCounts::of(&changes);
            prop_assert_eq!(counts.created + counts.updated + counts.deleted, i32::try_from(changes.len()).expect("small"));
        }
    }
}
