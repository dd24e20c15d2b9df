//! The mappings and tenants that a new taxonomy version concerns.

use crate::{Gcid, Slug, TenantId};

/// The effect of a taxonomy version on a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MappingEffect {
    /// The GBP category is no longer listed.
    Retired,
    /// The GBP category was never listed.
    Unlisted,
    /// The GBP category has another display name.
    Renamed,
}

/// A mapping that the newest taxonomy version concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AffectedMapping {
    /// The platform category.
    pub slug: Slug,
    /// The GBP category that it maps to in the region of the taxonomy.
    pub gcid: Gcid,
    /// The effect on this mapping.
    pub effect: MappingEffect,
    /// Number of tenants of the region with this platform category.
    pub tenants: i64,
}

/// All that the newest taxonomy version concerns. The counts are complete, the lists bounded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Affected {
    /// Number of mappings.
    pub mapping_count: i64,
    /// The mappings, by slug.
    pub mappings: Vec<AffectedMapping>,
    /// Number of tenants of the region with one of these platform categories.
    pub tenant_count: i64,
    /// The tenants, by id.
    pub tenants: Vec<TenantId>,
}
