//! Imported versions of Google's lists of categories.

use category_mirror_proto::v1;
use chrono::{DateTime, Utc};

use super::{GbpCategory, wire};

open_enum! {
    /// Whether Google's lists contain the GBP category of a mapping.
    MappingState {
        /// No list of the region has been imported, so only the format was checked.
        Unchecked = 1, "unchecked";
        /// Google's newest list contains the GBP category.
        Listed = 2, "listed";
        /// An earlier list contained the GBP category; the newest list does not.
        Retired = 3, "retired";
        /// No imported list has ever contained the GBP category.
        Unlisted = 4, "unlisted";
    }
}

open_enum! {
    /// Effect of an imported list on a mapping.
    MappingEffect {
        /// The GBP category is retired: Google's list no longer contains it.
        Retired = 1, "retired";
        /// No imported list contains the GBP category.
        Unlisted = 2, "unlisted";
        /// The list has a new display name for the GBP category.
        Renamed = 3, "renamed";
    }
}

/// One imported version of Google's list for a region and language.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TaxonomyVersion {
    /// CLDR region code of two letters, such as `US`.
    pub region_code: String,
    /// BCP 47 language code, such as `en`.
    pub language_code: String,
    /// Version number, from 1 for each region and language.
    pub version: i32,
    /// Number of categories in the list.
    pub category_count: i32,
    /// Number of categories that the previous version did not contain.
    pub added_count: i32,
    /// Number of categories whose display name differs from the previous version.
    pub renamed_count: i32,
    /// Number of categories of the previous version that this one does not contain.
    pub retired_count: i32,
    /// The caller that imported the list: the subject of its token.
    pub caller: String,
    /// The reason given for importing a list that had shrunk. `None`: it had not.
    pub allow_shrink_reason: Option<String>,
    /// Time of the import.
    pub import_time: Option<DateTime<Utc>>,
    /// Time at which Google's list was last found to equal this version.
    pub check_time: Option<DateTime<Utc>>,
}

/// A category whose display name changed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct RenamedGbpCategory {
    /// The category, with its new display name.
    pub category: GbpCategory,
    /// Its previous display name.
    pub previous_display_name: String,
}

/// A mapping that an imported list affects.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct AffectedMapping {
    /// The platform category, `platformCategories/{slug}`.
    pub platform_category: String,
    /// The GBP category that it maps to in the region, such as `categories/gcid:bakery`.
    pub gbp_category: String,
    /// Effect of the list on the mapping.
    pub effect: MappingEffect,
    /// Number of tenants in the region that have the platform category.
    pub tenant_count: i32,
}

/// Result of an import of Google's list. Each list has the first 100 items; the counts are complete.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TaxonomyRefresh {
    /// The newest version: the new one, or the existing one if Google's list has not changed.
    pub version: TaxonomyVersion,
    /// Number of categories that were added.
    pub added_count: i32,
    /// Number of categories whose display name changed.
    pub renamed_count: i32,
    /// Number of categories that Google's list no longer contains.
    pub retired_count: i32,
    /// The added categories.
    pub added: Vec<GbpCategory>,
    /// The renamed categories.
    pub renamed: Vec<RenamedGbpCategory>,
    /// The retired categories, with their last display names.
    pub retired: Vec<GbpCategory>,
    /// Number of platform categories that map, in this region, to a category that this list renames or lacks.
    pub affected_mapping_count: i32,
    /// These mappings.
    pub affected_mappings: Vec<AffectedMapping>,
    /// Number of tenants in the region that have one of these platform categories.
    pub affected_tenant_count: i32,
    /// These tenants, each `tenants/{tenant}`.
    pub affected_tenants: Vec<String>,
}

/// A category that matches a query.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct CategoryMatch {
    /// The category, with its display name in the requested language.
    pub category: GbpCategory,
    /// Text similarity from 0 to 1. Equal texts have 1.
    pub score: f32,
}

/// A platform category that needs a mapping, with suggestions.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct MappingSuggestion {
    /// The platform category, `platformCategories/{slug}`.
    pub platform_category: String,
    /// Its display name, with which the suggestions are compared.
    pub display_name: String,
    /// The GBP category that it maps to in the region and that Google's list lacks. `None`: it is unmapped there.
    pub gbp_category: Option<String>,
    /// The GBP categories with the most similar display names, best first.
    pub matches: Vec<CategoryMatch>,
}

impl TaxonomyVersion {
    pub(crate) fn from_wire(wire: v1::TaxonomyVersion) -> Self {
        Self {
            region_code: wire.region_code,
            language_code: wire.language_code,
            version: wire.version,
            category_count: wire.category_count,
            added_count: wire.added_count,
            renamed_count: wire.renamed_count,
            retired_count: wire.retired_count,
            caller: wire.caller,
            allow_shrink_reason: wire::text(wire.allow_shrink_reason),
            import_time: wire::time(wire.import_time),
            check_time: wire::time(wire.check_time),
        }
    }
}

impl TaxonomyRefresh {
    pub(crate) fn from_wire(wire: v1::RefreshTaxonomyResponse) -> Option<Self> {
        let renamed = |renamed: v1::RenamedGbpCategory| {
            let category = GbpCategory::from_wire(renamed.category?);
            Some(RenamedGbpCategory { category, previous_display_name: renamed.previous_display_name })
        };
        Some(Self {
            version: TaxonomyVersion::from_wire(wire.version?),
            added_count: wire.added_count,
            renamed_count: wire.renamed_count,
            retired_count: wire.retired_count,
            added: wire.added.into_iter().map(GbpCategory::from_wire).collect(),
            renamed: wire.renamed.into_iter().filter_map(renamed).collect(),
            retired: wire.retired.into_iter().map(GbpCategory::from_wire).collect(),
            affected_mapping_count: wire.affected_mapping_count,
            affected_mappings: wire
                .affected_mappings
                .into_iter()
                .map(|mapping| AffectedMapping {
                    platform_category: mapping.platform_category,
                    gbp_category: mapping.gbp_category,
                    effect: MappingEffect::from_wire(mapping.effect),
                    tenant_count: mapping.tenant_count,
                })
                .collect(),
            affected_tenant_count: wire.affected_tenant_count,
            affected_tenants: wire.affected_tenants,
        })
    }
}

impl CategoryMatch {
    pub(crate) fn from_wire(wire: v1::GbpCategoryMatch) -> Self {
        Self { category: GbpCategory::from_wire(wire.category.unwrap_or_default()), score: wire.score }
    }
}

impl MappingSuggestion {
    pub(crate) fn from_wire(wire: v1::MappingSuggestion) -> Self {
        Self {
            platform_category: wire.platform_category,
            display_name: wire.display_name,
            gbp_category: wire::text(wire.gbp_category),
            matches: wire.matches.into_iter().map(CategoryMatch::from_wire).collect(),
        }
    }
}
