//! Google's lists of categories.

use category_mirror_proto::v1;
use chrono::{DateTime, Utc};

use super::{GbpCategory, wire};

open_enum! {
    /// What Google's lists say about a mapping.
    MappingState {
        /// No list of the region was imported, so only the form was checked.
        Unchecked = 1, "unchecked";
        /// Google has the category.
        Listed = 2, "listed";
        /// Google has it no more.
        Retired = 3, "retired";
        /// Google never had it, as far as its lists were imported.
        Unlisted = 4, "unlisted";
    }
}

open_enum! {
    /// What a list does to a mapping.
    MappingEffect {
        /// Google has the category no more.
        Retired = 1, "retired";
        /// It was on no list.
        Unlisted = 2, "unlisted";
        /// It has another name now.
        Renamed = 3, "renamed";
    }
}

/// A version of Google's list for a region and language.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TaxonomyVersion {
    /// CLDR region code, such as `US`.
    pub region_code: String,
    /// BCP 47 language code, such as `en`.
    pub language_code: String,
    /// Its number, from 1 for each region and language.
    pub version: i32,
    /// How many categories it has.
    pub category_count: i32,
    /// How many of them the version before had not.
    pub added_count: i32,
    /// How many have another name than in the version before.
    pub renamed_count: i32,
    /// How many the version before had, and this has not.
    pub retired_count: i32,
    /// Who imported it.
    pub caller: String,
    /// Why, although it had shrunk.
    pub allow_shrink_reason: Option<String>,
    /// When it was imported.
    pub import_time: Option<DateTime<Utc>>,
    /// When Google's list was last found to be this one.
    pub check_time: Option<DateTime<Utc>>,
}

/// A category that has another name now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct RenamedGbpCategory {
    /// The category, with its new name.
    pub category: GbpCategory,
    /// Its name before.
    pub previous_display_name: String,
}

/// A mapping that a list concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct AffectedMapping {
    /// The platform category, `platformCategories/{slug}`.
    pub platform_category: String,
    /// What it maps to in the region.
    pub gbp_category: String,
    /// What is the matter with that.
    pub effect: MappingEffect,
    /// How many tenants of the region have the platform category.
    pub tenant_count: i32,
}

/// What an import of Google's list changed. Each list has the first 100; the counts are complete.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TaxonomyRefresh {
    /// The newest version: a new one, or, where Google's list is still the same, the one that was.
    pub version: TaxonomyVersion,
    /// How many categories were added.
    pub added_count: i32,
    /// How many have another name now.
    pub renamed_count: i32,
    /// How many Google has no more.
    pub retired_count: i32,
    /// The added ones.
    pub added: Vec<GbpCategory>,
    /// The renamed ones.
    pub renamed: Vec<RenamedGbpCategory>,
    /// The retired ones, with their last names.
    pub retired: Vec<GbpCategory>,
    /// How many platform categories map, in this region, to what this list renames or does not have.
    pub affected_mapping_count: i32,
    /// Those.
    pub affected_mappings: Vec<AffectedMapping>,
    /// How many tenants of the region have one of them.
    pub affected_tenant_count: i32,
    /// Those, `tenants/{tenant}` each.
    pub affected_tenants: Vec<String>,
}

/// A category that was found.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct CategoryMatch {
    /// The category, with its name in the language that was asked for.
    pub category: GbpCategory,
    /// How alike the texts are, from 0 to 1.
    pub score: f32,
}

/// A platform category that needs a decision, and what it may stand for.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct MappingSuggestion {
    /// The platform category, `platformCategories/{slug}`.
    pub platform_category: String,
    /// Its name for people.
    pub display_name: String,
    /// What it maps to in the region, and Google does not have. `None`: it is unmapped there.
    pub gbp_category: Option<String>,
    /// The categories with the most similar names, the best first.
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
