//! The platform's own categories.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{Gcid, InvalidId, tenant::resource_id};

/// How many additional categories a location may have. Google's documents do not say it; its answers do.
pub const MAX_ADDITIONAL: usize = 9;

resource_id!(
    /// A platform category's slug.
    Slug, "platformCategories", "1 to 63 characters of a-z, 0-9, `-` and `_`, beginning with a letter or digit",
    |id| {
        id.len() <= 63
            && id.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
    }
);

/// A business category of the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformCategory {
    /// Its slug.
    pub slug: Slug,
    /// Its name for people.
    pub display_name: String,
    /// The GBP category it maps to; `None` is unmapped.
    pub gcid: Option<Gcid>,
    /// The language and region, such as `en-US`, of the name that Google gave it when it was imported. `None`: it is the platform's own.
    pub imported_locale: Option<String>,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// A tenant's categories on the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantCategories {
    /// The primary one; `None` when the tenant has none at all.
    pub primary: Option<Slug>,
    /// The additional ones, in the order in which they were given.
    pub additional: Vec<Slug>,
    /// When they were last set.
    pub updated_at: Option<DateTime<Utc>>,
}
