//! Requests that count runs.

use std::time::Duration;

use category_mirror_proto::v1::{self, category_mirror_service_client::CategoryMirrorServiceClient};

use crate::{Client, SyncStats, names};

impl Client {
    /// Counts ended runs and their results, and live runs. Default: the last 24 hours.
    pub fn get_sync_stats(&self) -> GetSyncStats {
        GetSyncStats { client: self.clone(), message: v1::GetSyncStatsRequest::default() }
    }
}

request! {
    /// Request of [`Client::get_sync_stats`].
    GetSyncStats(v1::GetSyncStatsRequest) -> SyncStats {
        CategoryMirrorServiceClient.get_sync_stats, Idempotent, |a: v1::GetSyncStatsResponse| a.stats.map(SyncStats::from_wire)
    }
}

impl GetSyncStats {
    /// Counts only runs of this tenant, an id or `tenants/{id}`.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.message.tenant = names::qualified("tenants", tenant);
        self
    }

    /// Counts only runs whose tenant belonged to this organization when they were accepted, an id or
    /// `organizations/{id}`.
    pub fn organization(mut self, organization: impl Into<String>) -> Self {
        self.message.organization = names::qualified("organizations", organization);
        self
    }

    /// Sets the length of the period, which ends now: more than 0, at most 90 days.
    pub fn window(mut self, window: Duration) -> Self {
        // A value that does not fit is far beyond the server's limit, so the server rejects it.
        let longest = prost_types::Duration { seconds: i64::MAX, nanos: 0 };
        self.message.window = Some(window.try_into().unwrap_or(longest));
        self
    }
}
