//! A tenant: one store.

use category_mirror_proto::v1;
use chrono::{DateTime, Utc};

use super::wire;

/// One store, and where it stands on Google Business Profile.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Tenant {
    /// `tenants/{tenant}`.
    pub name: String,
    /// The store's name for people.
    pub display_name: String,
    /// The chain it belongs to, `organizations/{organization}`.
    pub organization: Option<String>,
    /// The GBP account that holds the location, `accounts/{account}`.
    pub gbp_account: Option<String>,
    /// The GBP location, `locations/{location}`.
    pub gbp_location: Option<String>,
    /// CLDR region code, such as `US`.
    pub region_code: String,
    /// BCP 47 language code, such as `en`.
    pub language_code: String,
    /// When it was created.
    pub create_time: Option<DateTime<Utc>>,
    /// When it was last changed.
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
