//! One change of a target.

use std::fmt::{self, Display};

use category_mirror_proto::v1;

use super::GbpCategory;

open_enum! {
    /// What happens to a category.
    Operation {
        /// The target gains it.
        Create = 1, "create";
        /// It changes its role, or one primary category replaces another.
        Update = 2, "update";
        /// The target loses it.
        Delete = 3, "delete";
    }
}

open_enum! {
    /// The role of a category in a set.
    Role {
        /// The one primary category.
        Primary = 1, "primary";
        /// One of the additional categories.
        Additional = 2, "additional";
    }
}

/// A category in its role.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct PlacedCategory {
    /// The category. `None` only where the server sent none.
    pub category: Option<GbpCategory>,
    /// Its role.
    pub role: Role,
}

/// One change of the target. Shown as one line: `+` gains, `~` changes, `-` loses.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Change {
    /// What happens.
    pub operation: Operation,
    /// The category and its role before. `None` for [`Operation::Create`].
    pub before: Option<PlacedCategory>,
    /// The category and its role after. `None` for [`Operation::Delete`].
    pub after: Option<PlacedCategory>,
}

/// How many changes of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ChangeCounts {
    /// Categories that the target gained.
    pub created: i32,
    /// Categories that changed their role, or primary ones that were replaced.
    pub updated: i32,
    /// Categories that the target lost.
    pub deleted: i32,
    /// Categories of the source that were left out because they are unmapped.
    pub skipped: i32,
}

impl PlacedCategory {
    fn from_wire(wire: v1::PlacedCategory) -> Self {
        Self { category: wire.category.map(GbpCategory::from_wire), role: Role::from_wire(wire.role) }
    }
}

impl Change {
    pub(crate) fn from_wire(wire: v1::Change) -> Self {
        Self {
            operation: Operation::from_wire(wire.operation),
            before: wire.before.map(PlacedCategory::from_wire),
            after: wire.after.map(PlacedCategory::from_wire),
        }
    }
}

impl ChangeCounts {
    pub(crate) fn from_wire(wire: v1::ChangeCounts) -> Self {
        let v1::ChangeCounts { created, updated, deleted, skipped } = wire;
        Self { created, updated, deleted, skipped }
    }
}

/// `+1 ~2 -3`, and the unmapped ones where there are any.
impl fmt::Display for ChangeCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{} ~{} -{}", self.created, self.updated, self.deleted)?;
        if self.skipped == 0 { Ok(()) } else { write!(f, " !{}", self.skipped) }
    }
}

impl fmt::Display for PlacedCategory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<10}  ", self.role)?;
        self.fmt_category(f)
    }
}

impl PlacedCategory {
    fn fmt_category(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.category {
            Some(category) => category.fmt(f),
            None => f.write_str("(no category)"),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.operation {
            Operation::Create => '+',
            Operation::Update => '~',
            Operation::Delete => '-',
            Operation::Unknown(_) => '?',
        };
        write!(f, "{sign} ")?;
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => {
                before.fmt(f)?;
                f.write_str(" -> ")?;
                // Only what differs: another category in the role, another role of the category, or both.
                let same_category = before.category == after.category;
                if before.role != after.role || same_category {
                    write!(f, "{}{}", after.role, if same_category { "" } else { " " })?;
                }
                if same_category { Ok(()) } else { after.fmt_category(f) }
            }
            (Some(one), None) | (None, Some(one)) => one.fmt(f),
            (None, None) => f.write_str("(nothing)"),
        }
    }
}
