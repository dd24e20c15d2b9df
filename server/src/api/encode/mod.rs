//! Converts domain types to messages.

mod batch;
mod credentials;
mod flag;
mod plan;
mod run;
pub(in crate::api) mod status;
mod taxonomy;
mod tenant_sync;

use category_mirror_proto::v1 as proto;
use chrono::{DateTime, Utc};

use crate::domain::{Slug, Tenant, TenantCategories};

pub(super) use batch::batch;
pub(super) use credentials::{credentials, verified};
pub(super) use flag::{evaluation, flag, flag_change};
pub(super) use run::{run, stats};
pub(super) use taxonomy::{
    category_match, count, import_failures, mapping_suggestion, platform_category, refreshed, taxonomy_version,
};
pub(super) use tenant_sync::tenant_sync;

/// Converts a point in time, to the nanosecond.
pub(super) fn time(at: DateTime<Utc>) -> prost_types::Timestamp {
    let nanos = i32::try_from(at.timestamp_subsec_nanos()).unwrap_or_default();
    prost_types::Timestamp { seconds: at.timestamp(), nanos }
}

pub(super) fn tenant(tenant: Tenant) -> proto::Tenant {
    proto::Tenant {
        name: tenant.id.resource_name(),
        display_name: tenant.display_name,
        organization: tenant.organization.map(|id| id.resource_name()).unwrap_or_default(),
        gbp_account: tenant.account.map(|id| id.resource_name()).unwrap_or_default(),
        gbp_location: tenant.location.map(|id| id.resource_name()).unwrap_or_default(),
        region_code: tenant.region_code,
        language_code: tenant.language_code,
        create_time: Some(time(tenant.created_at)),
        update_time: Some(time(tenant.updated_at)),
    }
}

pub(super) fn tenant_categories(set: TenantCategories) -> proto::TenantCategories {
    proto::TenantCategories {
        primary: set.primary.as_ref().map(Slug::resource_name).unwrap_or_default(),
        additional: set.additional.iter().map(Slug::resource_name).collect(),
        update_time: set.updated_at.map(time),
    }
}
