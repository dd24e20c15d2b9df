//! Listing runs.

use category_mirror_proto::v1::{self, category_mirror_service_client::CategoryMirrorServiceClient};

use crate::{Client, Run, Strategy, names};

impl Client {
    /// Lists runs, newest first, without plans and written changes.
    pub fn list_sync_logs(&self) -> ListSyncLogs {
        ListSyncLogs { client: self.clone(), message: v1::ListSyncLogsRequest::default() }
    }
}

list_request! {
    /// Asks for runs; see [`Client::list_sync_logs`].
    ListSyncLogs(ListSyncLogsRequest) -> Run { CategoryMirrorServiceClient.list_sync_logs, runs }
}

impl ListSyncLogs {
    /// Only this tenant's, an id or `tenants/{id}`.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.message.tenant = names::qualified("tenants", tenant);
        self
    }

    /// Only of this strategy.
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.message.strategy = strategy.to_wire();
        self
    }
}
