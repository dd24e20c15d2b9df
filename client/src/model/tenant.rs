//! Tenants: one store each.

use category_mirror_proto::v1;
use chrono::{DateTime, Utc};

use super::wire;

/// One store and its Google Business Profile location.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Tenant {
    /// Resource name, `tenants/{tenant}`.
    pub name: String,
    /// The store's display name, 1 to 200 characters.
    pub display_name: String,
    /// The organization that the tenant belongs to, `organizations/{organization}`.
    pub organization: Option<String>,
    /// The GBP account that holds the location, `accounts/{account}`.
    pub gbp_account: Option<String>,
    /// The GBP location, `locations/{location}`.
    pub gbp_location: Option<String>,
    /// CLDR region code of two letters, such as `US`.
    pub region_code: String,
    /// BCP 47 language code, such as `en`.
    pub language_code: String,
    /// Time of creation.
    pub create_time: Option<DateTime<Utc>>,
    /// Time of the last change.
    pub update_time: Option<DateTime<Utc>>,
}

impl Tenant {
    pub(crate) fn from_wire(wire: v1::Tenant) -> Self {
        Self {
            name: wire.name,
            display_name: wire.display_name,
            organization: wire::text(wire.organization),
            gbp_account: wire::text(wire.gbp_account),
            gbp_location: wire::text(wire.gbp_location),
            region_code: wire.region_code,
            language_code: wire.language_code,
            create_time: wire::time(wire.create_time),
            update_time: wire::time(wire.update_time),
        }
    }
}
