//! Platform categories to create or to change.

use crate::{Gcid, RegionalMapping, Slug};

/// New values of a platform category. The outer `None` keeps a field, the inner one unmaps the category.
#[derive(Debug, Default, Clone)]
pub struct PlatformCategoryChange {
    /// The display name.
    pub display_name: Option<String>,
    /// The GBP category that it maps to.
    pub gcid: Option<Option<Gcid>>,
    /// All regional mappings.
    pub regional: Option<RegionalMapping>,
}

/// A platform category to import. An empty field keeps the current value.
#[derive(Debug, Clone)]
pub struct NewCategory {
    /// Its identity.
    pub slug: Slug,
    /// The display name.
    pub display_name: String,
    /// The GBP category that it maps to.
    pub gcid: Option<Gcid>,
    /// All regional mappings.
    pub regional: RegionalMapping,
}
