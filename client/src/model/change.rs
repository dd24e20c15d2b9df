//! Changes of a target.

use std::fmt::{self, Display};

use category_mirror_proto::v1;

use super::{GbpCategory, category::named, wire};

open_enum! {
    /// Kind of a change.
    Operation {
        /// The target gains a category.
        Create = 1, "create";
        /// A category changes its role or its display name, or one primary category replaces another.
        Update = 2, "update";
        /// The target loses a category.
        Delete = 3, "delete";
    }
}

open_enum! {
    /// Role of a category in a set.
    CategoryRole {
        /// The one primary category.
        Primary = 1, "primary";
        /// One of 0 to 9 additional categories.
        Additional = 2, "additional";
    }
}

/// A category of a set, with its role.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct CategorySetMember {
    /// The GBP category, or the one that the platform category maps to. `None`: the platform category is unmapped.
    pub category: Option<GbpCategory>,
    /// Role in the set.
    pub role: CategoryRole,
    /// The platform category, or the one that maps to the GBP category, `platformCategories/{slug}`.
    pub platform_category: Option<String>,
    /// The platform's display name. `None` for a GBP category.
    pub platform_display_name: Option<String>,
    /// Whether the platform category was created from a GBP category.
    pub imported: bool,
}

/// One change of one category of the target. Displayed as one line: `+` created, `~` updated, `-` deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Change {
    /// Kind of the change.
    pub operation: Operation,
    /// The category and its role before the change. `None` for [`Operation::Create`].
    pub before: Option<CategorySetMember>,
    /// The category and its role after the change. `None` for [`Operation::Delete`].
    pub after: Option<CategorySetMember>,
}

/// Number of changes of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ChangeCounts {
    /// Categories that were added to the target.
    pub created: i32,
    /// Categories whose role or display name changed, and primary categories that were replaced.
    pub updated: i32,
    /// Categories that were removed from the target.
    pub deleted: i32,
    /// Platform categories that were left out, or left unchanged, because they are unmapped.
    pub unmapped: i32,
}

impl CategorySetMember {
    pub(super) fn from_wire(wire: v1::CategorySetMember) -> Self {
        Self {
            category: wire.category.map(GbpCategory::from_wire),
            role: CategoryRole::from_wire(wire.role),
            platform_category: wire::text(wire.platform_category),
            platform_display_name: wire::text(wire.platform_display_name),
            imported: wire.imported,
        }
    }
}

impl Change {
    pub(crate) fn from_wire(wire: v1::Change) -> Self {
        Self {
            operation: Operation::from_wire(wire.operation),
            before: wire.before.map(CategorySetMember::from_wire),
            after: wire.after.map(CategorySetMember::from_wire),
        }
    }
}

impl ChangeCounts {
    pub(crate) fn from_wire(wire: v1::ChangeCounts) -> Self {
        let v1::ChangeCounts { created, updated, deleted, unmapped } = wire;
        Self { created, updated, deleted, unmapped }
    }
}

/// Displayed as `+1 ~2 -3`, followed by the number of unmapped categories if there are any.
impl fmt::Display for ChangeCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{} ~{} -{}", self.created, self.updated, self.deleted)?;
        if self.unmapped == 0 { Ok(()) } else { write!(f, " !{}", self.unmapped) }
    }
}

impl fmt::Display for CategorySetMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<10}  ", self.role)?;
        self.fmt_category(f)
    }
}

impl CategorySetMember {
    fn fmt_category(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.platform_category, &self.category) {
            (Some(name), _) => {
                named(f, name, self.platform_display_name.as_deref().unwrap_or_default())?;
                if self.imported { f.write_str(", imported") } else { Ok(()) }
            }
            (None, Some(category)) => category.fmt(f),
            (None, None) => f.write_str("(no category)"),
        }
    }

    /// Whether both are displayed the same, apart from their roles.
    fn is_same_category(&self, other: &Self) -> bool {
        (&self.category, &self.platform_category, &self.platform_display_name)
            == (&other.category, &other.platform_category, &other.platform_display_name)
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
                // Only the difference: another category in the role, another role of the category, or both.
                let same_category = before.is_same_category(after);
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
