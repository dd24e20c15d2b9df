//! Business categories and category sets.

use std::{collections::BTreeMap, fmt};

use category_mirror_proto::v1;
use chrono::{DateTime, Utc};

use super::{MappingState, wire};
use crate::{Printable, names};

/// A category of Google's taxonomy. Displayed as `gcid:bakery (Bakery)`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct GbpCategory {
    /// Google's resource name, such as `categories/gcid:bakery`.
    pub name: String,
    /// Google's display name in the tenant's language. It is not an identifier, and may be empty.
    pub display_name: String,
}

/// The categories of a GBP location.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct CategorySet {
    /// The primary category. `None`: the location has no categories.
    pub primary: Option<GbpCategory>,
    /// The additional categories, in no particular order.
    pub additional: Vec<GbpCategory>,
}

/// A business category of the platform, and the GBP category that it maps to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct PlatformCategory {
    /// Resource name, `platformCategories/{slug}`.
    pub name: String,
    /// The platform's display name, 1 to 200 characters.
    pub display_name: String,
    /// The GBP category that it maps to, such as `categories/gcid:bakery`. `None`: unmapped, so it is reported and
    /// never sent to Google.
    pub gbp_category: Option<String>,
    /// Regional mappings by region code, such as `US`. `None`: unmapped in that region.
    pub regional_gbp_categories: BTreeMap<String, Option<String>>,
    /// Whether Google's current lists contain the GBP categories that it maps to; the worst state if its mappings
    /// differ. `None`: it has no mapping.
    pub mapping_state: Option<MappingState>,
    /// Whether it was created from a GBP category. Its display name follows Google's until a caller changes it.
    pub imported: bool,
    /// Time of creation.
    pub create_time: Option<DateTime<Utc>>,
    /// Time of the last change.
    pub update_time: Option<DateTime<Utc>>,
}

/// A tenant's categories on the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TenantCategories {
    /// The primary category, `platformCategories/{slug}`. `None`: never set.
    pub primary: Option<String>,
    /// The additional categories, each `platformCategories/{slug}`.
    pub additional: Vec<String>,
    /// Time at which the categories were last set. `None`: never.
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

/// Writes the id, and the display name if there is one.
pub(super) fn named(f: &mut fmt::Formatter<'_>, name: &str, display_name: &str) -> fmt::Result {
    write!(f, "{}", Printable(names::short(name)))?;
    if display_name.is_empty() { Ok(()) } else { write!(f, " ({})", Printable(display_name)) }
}
