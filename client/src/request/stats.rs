//! Counting runs.

use std::time::Duration;

use category_mirror_proto::v1::{self, category_mirror_service_client::CategoryMirrorServiceClient};

use crate::{Client, SyncStats, names};

impl Client {
    /// Counts runs that ended and their results, and those that are live, over the last 24 h unless told otherwise.
    pub fn get_sync_stats(&self) -> GetSyncStats {
        GetSyncStats { client: self.clone(), message: v1::GetSyncStatsRequest::default() }
    }
}

request! {
    /// Asks for counts; see [`Client::get_sync_stats`].
    GetSyncStats(v1::GetSyncStatsRequest) -> SyncStats {
        CategoryMirrorServiceClient.get_sync_stats, Idempotent, |a: v1::GetSyncStatsResponse| a.stats.map(SyncStats::from_wire)
    }
}

impl GetSyncStats {
    /// Only this tenant's, an id or `tenants/{id}`.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.message.tenant = names::qualified("tenants", tenant);
        self
    }

    /// Only those that were this organization's when they were accepted, an id or `organizations/{id}`.
    pub fn organization(mut self, organization: impl Into<String>) -> Self {
        self.message.organization = names::qualified("organizations", organization);
        self
    }

    /// How far back: more than 0, at most 90 days.
    pub fn window(mut self, window: Duration) -> Self {
        // What does not fit the wire is far beyond what the server accepts: let it say so.
        let longest = prost_types::Duration { seconds: i64::MAX, nanos: 0 };
        self.message.window = Some(window.try_into().unwrap_or(longest));
        self
    }
}
