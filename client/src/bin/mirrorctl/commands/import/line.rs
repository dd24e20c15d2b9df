//! What a line of a file holds. The lines that a list prints as JSON are among these: what only the server sets is accepted, and ignored.

use std::collections::BTreeMap;

use category_mirror_client::{PlatformCategoryImport, TenantImport};
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};

/// A line of a file.
pub(super) trait ImportLine: DeserializeOwned + 'static {
    /// The key that identifies the item.
    const KEY: &'static str;
    /// The columns that a CSV file may have.
    const COLUMNS: &'static [&'static str];
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TenantLine {
    #[serde(alias = "name")]
    tenant: String,
    #[serde(default)]
    display_name: String,
    organization: Option<String>,
    gbp_account: Option<String>,
    gbp_location: Option<String>,
    #[serde(default)]
    region_code: String,
    #[serde(default)]
    language_code: String,
    primary: Option<String>,
    #[serde(default)]
    additional: Vec<String>,
    #[serde(default, rename = "create_time")]
    _create_time: IgnoredAny,
    #[serde(default, rename = "update_time")]
    _update_time: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CategoryLine {
    #[serde(alias = "name")]
    slug: String,
    #[serde(default)]
    display_name: String,
    gbp_category: Option<String>,
    #[serde(default)]
    regional_gbp_categories: BTreeMap<String, Option<String>>,
    #[serde(default, rename = "mapping_state")]
    _mapping_state: IgnoredAny,
    #[serde(default, rename = "imported")]
    _imported: IgnoredAny,
    #[serde(default, rename = "create_time")]
    _create_time: IgnoredAny,
    #[serde(default, rename = "update_time")]
    _update_time: IgnoredAny,
}

impl ImportLine for TenantLine {
    const KEY: &'static str = "tenant";
    const COLUMNS: &'static [&'static str] = &[
        "tenant",
        "display_name",
        "organization",
        "gbp_account",
        "gbp_location",
        "region_code",
        "language_code",
        "primary",
        "additional",
    ];
}

impl ImportLine for CategoryLine {
    const KEY: &'static str = "slug";
    const COLUMNS: &'static [&'static str] = &["slug", "display_name", "gbp_category", "regional_gbp_categories"];
}

impl From<TenantLine> for TenantImport {
    fn from(line: TenantLine) -> Self {
        let tenant = Self::new(line.tenant)
            .display_name(line.display_name)
            .organization(line.organization.unwrap_or_default())
            .location(line.gbp_account.unwrap_or_default(), line.gbp_location.unwrap_or_default())
            .region_code(line.region_code)
            .language_code(line.language_code);
        match line.primary {
            // Additional ones without a primary one are the server's to refuse.
            None if line.additional.is_empty() => tenant,
            primary => tenant.categories(primary.unwrap_or_default(), line.additional),
        }
    }
}

impl From<CategoryLine> for PlatformCategoryImport {
    fn from(line: CategoryLine) -> Self {
        let category = Self::new(line.slug).display_name(line.display_name);
        let category = category.gbp_category(line.gbp_category.unwrap_or_default());
        line.regional_gbp_categories.into_iter().fold(category, |category, (region, gcid)| {
            // No category: the platform category is unmapped in this region.
            category.regional_gbp_category(region, gcid.unwrap_or_default())
        })
    }
}
