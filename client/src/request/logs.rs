//! Requests that list runs.

use category_mirror_proto::v1::{self, category_mirror_service_client::CategoryMirrorServiceClient};
use chrono::{DateTime, Utc};

use crate::{Client, Run, RunState, Strategy, names};

impl Client {
    /// Lists runs, newest first, without plans, attempts and written changes.
    pub fn list_sync_logs(&self) -> ListSyncLogs {
        ListSyncLogs { client: self.clone(), message: v1::ListSyncLogsRequest::default() }
    }
}

list_request! {
    /// Request of [`Client::list_sync_logs`].
    ListSyncLogs(ListSyncLogsRequest) -> Run { CategoryMirrorServiceClient.list_sync_logs, runs }
}

impl ListSyncLogs {
    /// Lists only runs of this tenant, an id or `tenants/{id}`.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.message.tenant = names::qualified("tenants", tenant);
        self
    }

    /// Lists only runs of this strategy.
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.message.strategy = strategy.to_wire();
        self
    }

    /// Lists only runs whose tenant belonged to this organization when they were accepted, an id or
    /// `organizations/{id}`.
    pub fn organization(mut self, organization: impl Into<String>) -> Self {
        self.message.organization = names::qualified("organizations", organization);
        self
    }

    /// Lists only runs of this batch, an id or `batches/{id}`.
    pub fn batch(mut self, batch: impl Into<String>) -> Self {
        self.message.batch = names::qualified("batches", batch);
        self
    }

    /// Lists only runs in this state. Repeated calls add states.
    pub fn state(mut self, state: RunState) -> Self {
        self.message.states.push(state.to_wire());
        self
    }

    /// Lists only dry runs (true) or only real runs (false).
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.message.dry_run = Some(dry_run);
        self
    }

    /// Lists only runs with this reason, such as `UNMAPPED_PRIMARY`.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.message.reason = reason.into();
        self
    }

    /// Lists only runs that this caller requested.
    pub fn caller(mut self, caller: impl Into<String>) -> Self {
        self.message.caller = caller.into();
        self
    }

    /// Lists only runs accepted at or after this time, to the millisecond.
    pub fn accepted_from(mut self, time: DateTime<Utc>) -> Self {
        self.message.start_time = Some(to_wire(time));
        self
    }

    /// Lists only runs accepted before this time, to the millisecond.
    pub fn accepted_before(mut self, time: DateTime<Utc>) -> Self {
        self.message.end_time = Some(to_wire(time));
        self
    }

    /// Lists only ended runs that found differences.
    pub fn out_of_sync_only(mut self) -> Self {
        self.message.out_of_sync_only = true;
        self
    }
}

fn to_wire(time: DateTime<Utc>) -> prost_types::Timestamp {
    let nanos = i32::try_from(time.timestamp_subsec_nanos()).unwrap_or(999_999_999);
    prost_types::Timestamp { seconds: time.timestamp(), nanos }
}
