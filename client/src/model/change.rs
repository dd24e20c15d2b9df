//! One change of a target.

use std::fmt::{self, Display};

use category_mirror_proto::v1;

use super::{GbpCategory, category::named, wire};

open_enum! {
    /// What happens to a category.
    Operation {
        /// The target gains it.
        Create = 1, "create";
        /// It changes its role or its name, or one primary category replaces another.
        Update = 2, "update";
        /// The target loses it.
        Delete = 3, "delete";
    }
}

open_enum! {
    /// The role of a category in a set.
    CategoryRole {
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
pub struct CategorySetMember {
    /// Google's category: itself, or what the platform category stands for. `None`: it is unmapped.
    pub category: Option<GbpCategory>,
    /// Its role.
    pub role: CategoryRole,
    /// The platform category, `platformCategories/{slug}`: itself, or what stands for Google's.
    pub platform_category: Option<String>,
    /// The platform's name for people, where the category is the platform's.
    pub platform_display_name: Option<String>,
    /// Whether it is a platform category that came from Google.
    pub imported: bool,
}

/// One change of the target. Shown as one line: `+` gains, `~` changes, `-` loses.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Change {
    /// What happens.
    pub operation: Operation,
    /// The category and its role before. `None` for [`Operation::Create`].
    pub before: Option<CategorySetMember>,
    /// The category and its role after. `None` for [`Operation::Delete`].
    pub after: Option<CategorySetMember>,
}

/// How many changes of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ChangeCounts {
    /// Categories that the target gained.
    pub created: i32,
    /// Categories that changed their role or their name, or primary ones that were replaced.
    pub updated: i32,
    /// Categories that the target lost.
    pub deleted: i32,
    /// Platform categories that were left out, or left alone, because they are unmapped.
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

/// `+1 ~2 -3`, and the unmapped ones where there are any.
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

    /// Whether both show as the same, but for the role.
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
                // Only what differs: another category in the role, another role of the category, or both.
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
