//! Business categories.

use std::{collections::BTreeMap, fmt};

use category_mirror_proto::v1;
use chrono::{DateTime, Utc};

use super::{MappingState, wire};
use crate::{Printable, names};

/// A category of Google's taxonomy. Shown as `gcid:bakery (Bakery)`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct GbpCategory {
    /// Google's resource name, such as `categories/gcid:bakery`.
    pub name: String,
    /// Google's name for people, in the tenant's language; it identifies nothing. May be empty.
    pub display_name: String,
}

/// The categories of a GBP location.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct CategorySet {
    /// The primary one. `None`: the location has no categories.
    pub primary: Option<GbpCategory>,
    /// The additional ones, in no particular order.
    pub additional: Vec<GbpCategory>,
}

/// A business category of the platform, and the GBP category that it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct PlatformCategory {
    /// `platformCategories/{slug}`.
    pub name: String,
    /// The platform's name for people.
    pub display_name: String,
    /// The GBP category it maps to, such as `categories/gcid:bakery`. `None`: unmapped, so it is reported and never sent.
    pub gbp_category: Option<String>,
    /// Where it stands for something else, by region code. `None`: it stands for nothing there.
    pub regional_gbp_categories: BTreeMap<String, Option<String>>,
    /// What Google's lists say about its mappings now; the worst of them where they differ. `None`: it has none.
    pub mapping_state: Option<MappingState>,
    /// Whether it came from Google, and follows Google's name until somebody changes it.
    pub imported: bool,
    /// When it was created.
    pub create_time: Option<DateTime<Utc>>,
    /// When it was last changed.
    pub update_time: Option<DateTime<Utc>>,
}

/// A tenant's categories on the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TenantCategories {
    /// The primary one, `platformCategories/{slug}`. `None`: they were never set.
    pub primary: Option<String>,
    /// The additional ones, `platformCategories/{slug}` each.
    pub additional: Vec<String>,
    /// When they were last set. `None`: never.
    pub update_time: Option<DateTime<Utc>>,
}

impl GbpCategory {
    pub(crate) fn from_wire(wire: v1::GbpCategory) -> Self {
        Self { name: wire.name, display_name: wire.display_name }
    }
}

impl CategorySet {
    pub(crate) fn from_wire(wire: v1::GbpCategorySet) -> Self {
        Self {
            primary: wire.primary.map(GbpCategory::from_wire),
            additional: wire.additional.into_iter().map(GbpCategory::from_wire).collect(),
        }
    }
}

impl PlatformCategory {
    pub(crate) fn from_wire(wire: v1::PlatformCategory) -> Self {
        let regional = wire.regional_gbp_categories.into_iter();
        Self {
            name: wire.name,
            display_name: wire.display_name,
            gbp_category: wire::text(wire.gbp_category),
            regional_gbp_categories: regional.map(|(region, category)| (region, wire::text(category))).collect(),
            mapping_state: (wire.mapping_state != 0).then(|| MappingState::from_wire(wire.mapping_state)),
            imported: wire.imported,
            create_time: wire::time(wire.create_time),
            update_time: wire::time(wire.update_time),
        }
    }
}

impl TenantCategories {
    pub(crate) fn from_wire(wire: v1::TenantCategories) -> Self {
        Self {
            primary: wire::text(wire.primary),
            additional: wire.additional,
            update_time: wire::time(wire.update_time),
        }
    }
}

impl fmt::Display for GbpCategory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        named(f, &self.name, &self.display_name)
    }
}

/// The id, and the name for people where there is one.
pub(super) fn named(f: &mut fmt::Formatter<'_>, name: &str, display_name: &str) -> fmt::Result {
    write!(f, "{}", Printable(names::short(name)))?;
    if display_name.is_empty() { Ok(()) } else { write!(f, " ({})", Printable(display_name)) }
}
