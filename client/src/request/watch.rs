//! Requests that watch runs.

use crate::{
    Client, Items, Run, names,
    watch::{WatchState, watch},
};

impl Client {
    /// Watches one run: yields its current snapshot, then each change. Ends after the terminal snapshot.
    ///
    /// Each item is a complete snapshot: a slow reader may miss intermediate states, but never the last one. Revisions
    /// only increase, and none is yielded twice. A broken or silent connection is reopened, see
    /// [`ClientBuilder::reconnect`](crate::ClientBuilder::reconnect).
    pub fn watch_run(&self, name: impl Into<String>) -> WatchRun {
        WatchRun { client: self.clone(), name: names::run(name), after_revision: 0 }
    }

    /// Watches the runs of one tenant: yields the live ones, then each change. Does not end. Otherwise like
    /// [`watch_run`](Self::watch_run).
    ///
    /// After a broken connection, the runs that were live are read again, so that their end is not missed. Runs that
    /// started and ended while there was no connection are only in [`list_sync_logs`](Self::list_sync_logs).
    pub fn watch_tenant(&self, tenant: impl Into<String>) -> WatchRuns {
        WatchRuns { client: self.clone(), name: names::qualified("tenants", tenant) }
    }

    /// Watches the runs of one organization that the caller may see. Otherwise like
    /// [`watch_tenant`](Self::watch_tenant).
    pub fn watch_organization(&self, organization: impl Into<String>) -> WatchRuns {
        WatchRuns { client: self.clone(), name: names::qualified("organizations", organization) }
    }

    /// Watches the runs of one batch: yields the live ones, then each change. Ends when the batch has ended. Otherwise
    /// like [`watch_tenant`](Self::watch_tenant).
    pub fn watch_batch(&self, batch: impl Into<String>) -> WatchBatch {
        WatchBatch { client: self.clone(), name: names::qualified("batches", batch) }
    }

    /// Watches all runs that the caller may see. Otherwise like [`watch_tenant`](Self::watch_tenant).
    pub fn watch_all(&self) -> WatchRuns {
        self.watch_tenant("-")
    }
}

/// Request of [`Client::watch_run`].
#[derive(Debug, Clone)]
#[must_use = "a request does nothing until it is sent"]
pub struct WatchRun {
    client: Client,
    name: String,
    after_revision: i64,
}

carries_metadata!(WatchRun);

impl WatchRun {
    /// Yields only snapshots with a higher revision, to resume after the last one received.
    pub fn after_revision(mut self, revision: i64) -> Self {
        self.after_revision = revision;
        self
    }

    /// Returns the stream of snapshots.
    pub fn send(self) -> Items<Run> {
        watch(self.client, self.name, WatchState::One { revision: self.after_revision })
    }
}

/// Request of [`Client::watch_tenant`], [`Client::watch_organization`] and [`Client::watch_all`].
#[derive(Debug, Clone)]
#[must_use = "a request does nothing until it is sent"]
pub struct WatchRuns {
    client: Client,
    name: String,
}

carries_metadata!(WatchRuns);

impl WatchRuns {
    /// Returns the stream of snapshots.
    pub fn send(self) -> Items<Run> {
        watch(self.client, self.name, WatchState::many())
    }
}

/// Request of [`Client::watch_batch`].
#[derive(Debug, Clone)]
#[must_use = "a request does nothing until it is sent"]
pub struct WatchBatch {
    client: Client,
    name: String,
}

carries_metadata!(WatchBatch);

impl WatchBatch {
    /// Returns the stream of snapshots.
    pub fn send(self) -> Items<Run> {
        watch(self.client, self.name, WatchState::batch())
    }
}
