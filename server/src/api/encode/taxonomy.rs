//! Converts Google's lists of categories, and results of imports, to messages.

use category_mirror_proto::v1::{self as proto, affected_mapping, platform_category::MappingState as WireState};

use super::{plan::category as gbp_category, time};
use crate::{
    app::{ImportReport, MappingSuggestion, PlatformCategoryDetails, TaxonomyRefresh},
    domain::{AffectedMapping, CategoryMatch, GbpCategory, MappingEffect, MappingState, TaxonomyVersion},
    error::FieldViolation,
};

/// Maximum number of categories of each kind in a response.
const MAX_LISTED: usize = 100;
/// Maximum number of characters of an item's own name that are returned.
const MAX_NAME: usize = 200;

pub(in crate::api) fn platform_category(shown: PlatformCategoryDetails) -> proto::PlatformCategory {
    let PlatformCategoryDetails { entry, state } = shown;
    let category = entry.category;
    let regional = entry.regional.into_iter();
    proto::PlatformCategory {
        name: category.slug.resource_name(),
        display_name: category.display_name,
        gbp_category: category.gcid.map(|gcid| gcid.resource_name()).unwrap_or_default(),
        imported: category.imported_locale.is_some(),
        create_time: Some(time(category.created_at)),
        update_time: Some(time(category.updated_at)),
        regional_gbp_categories: regional
            .map(|(region, gcid)| (region.to_string(), gcid.map(|gcid| gcid.resource_name()).unwrap_or_default()))
            .collect(),
        mapping_state: match state {
            None => WireState::Unspecified,
            Some(MappingState::Unchecked) => WireState::Unchecked,
            Some(MappingState::Listed) => WireState::Listed,
            Some(MappingState::Retired) => WireState::Retired,
            Some(MappingState::Unlisted) => WireState::Unlisted,
        }
        .into(),
    }
}

pub(in crate::api) fn taxonomy_version(version: TaxonomyVersion) -> proto::TaxonomyVersion {
    proto::TaxonomyVersion {
        region_code: version.locale.region.to_string(),
        language_code: version.locale.language.to_string(),
        version: version.version,
        category_count: version.category_count,
        added_count: version.added,
        renamed_count: version.renamed,
        retired_count: version.retired,
        caller: version.caller,
        allow_shrink_reason: version.allow_shrink_reason,
        import_time: Some(time(version.imported_at)),
        check_time: Some(time(version.checked_at)),
    }
}

pub(in crate::api) fn refreshed(refreshed: TaxonomyRefresh) -> proto::RefreshTaxonomyResponse {
    let TaxonomyRefresh { version, diff, affected } = refreshed;
    let listed = |categories: &[GbpCategory]| categories.iter().take(MAX_LISTED).map(gbp_category).collect();
    proto::RefreshTaxonomyResponse {
        version: Some(taxonomy_version(version)),
        added_count: count(diff.added().len()),
        renamed_count: count(diff.renamed().len()),
        retired_count: count(diff.retired().len()),
        added: listed(diff.added()),
        renamed: diff
            .renamed()
            .iter()
            .take(MAX_LISTED)
            .map(|renamed| proto::RenamedGbpCategory {
                category: Some(gbp_category(&renamed.category)),
                previous_display_name: renamed.before.clone(),
            })
            .collect(),
        retired: listed(diff.retired()),
        affected_mapping_count: count(affected.mapping_count),
        affected_mappings: affected.mappings.into_iter().map(affected_mapping).collect(),
        affected_tenant_count: count(affected.tenant_count),
        affected_tenants: affected.tenants.iter().map(|tenant| tenant.resource_name()).collect(),
    }
}

fn affected_mapping(mapping: AffectedMapping) -> proto::AffectedMapping {
    proto::AffectedMapping {
        platform_category: mapping.slug.resource_name(),
        gbp_category: mapping.gcid.resource_name(),
        effect: match mapping.effect {
            MappingEffect::Retired => affected_mapping::Effect::Retired,
            MappingEffect::Unlisted => affected_mapping::Effect::Unlisted,
            MappingEffect::Renamed => affected_mapping::Effect::Renamed,
        }
        .into(),
        tenant_count: count(mapping.tenants),
    }
}

pub(in crate::api) fn category_match(found: CategoryMatch) -> proto::GbpCategoryMatch {
    proto::GbpCategoryMatch { category: Some(gbp_category(&found.category)), score: found.score }
}

pub(in crate::api) fn mapping_suggestion(suggestion: MappingSuggestion) -> proto::MappingSuggestion {
    proto::MappingSuggestion {
        platform_category: suggestion.slug.resource_name(),
        display_name: suggestion.display_name,
        gbp_category: suggestion.gcid.map(|gcid| gcid.resource_name()).unwrap_or_default(),
        matches: suggestion.matches.into_iter().map(category_match).collect(),
    }
}

/// Converts the failures of an import; `names` are the items' own names.
pub(in crate::api) fn import_failures(report: ImportReport, names: &[String]) -> Vec<proto::ImportFailure> {
    let violation = |it: FieldViolation| proto::ImportViolation { field: it.field, description: it.description };
    let failure = |(index, violations): (usize, Vec<FieldViolation>)| proto::ImportFailure {
        index: count(index),
        name: names.get(index).map(|name| name.chars().take(MAX_NAME).collect()).unwrap_or_default(),
        violations: violations.into_iter().map(violation).collect(),
    };
    report.failures.into_iter().map(failure).collect()
}

/// Converts a count to the type that messages use.
pub(in crate::api) fn count(count: impl TryInto<i32>) -> i32 {
    count.try_into().unwrap_or(i32::MAX)
}
