//! Watching runs change.

use crate::{
    Client, Items, Run, names,
    watch::{WatchState, watch},
};

impl Client {
    /// Watches one run: its snapshot at once, then each change. Ends after the terminal one.
    ///
    /// Each item is a whole snapshot: a slow reader misses states in the middle, never the last. No revision comes twice, and none
    /// is older than the one before. A broken or silent connection is made again, see
    /// [`ClientBuilder::reconnect`](crate::ClientBuilder::reconnect).
    pub fn watch_run(&self, name: impl Into<String>) -> WatchRun {
        WatchRun { client: self.clone(), name: names::run(name), after_revision: 0 }
    }

    /// Watches the runs of one tenant: the live ones at once, then each change, without end; otherwise as [`watch_run`](Self::watch_run).
    ///
    /// After a broken connection the runs that were live are read again, so that their end is not missed. Runs that
    /// came and ended while there was no connection are in [`list_sync_logs`](Self::list_sync_logs) only.
    pub fn watch_tenant(&self, tenant: impl Into<String>) -> WatchRuns {
        WatchRuns { client: self.clone(), name: names::qualified("tenants", tenant) }
    }

    /// Watches the runs of one organization, as far as the caller may see them; otherwise as [`watch_tenant`](Self::watch_tenant).
    pub fn watch_organization(&self, organization: impl Into<String>) -> WatchRuns {
        WatchRuns { client: self.clone(), name: names::qualified("organizations", organization) }
    }

    /// Watches the runs of one batch: the live ones at once, then each change. Ends when the batch is over; otherwise as
    /// [`watch_tenant`](Self::watch_tenant).
    pub fn watch_batch(&self, batch: impl Into<String>) -> WatchBatch {
        WatchBatch { client: self.clone(), name: names::qualified("batches", batch) }
    }

    /// Watches every run that the caller may see; otherwise as [`watch_tenant`](Self::watch_tenant).
    pub fn watch_all(&self) -> WatchRuns {
        self.watch_tenant("-")
    }
}

/// Asks for the snapshots of one run; see [`Client::watch_run`].
#[derive(Debug, Clone)]
#[must_use = "a request does nothing until it is sent"]
pub struct WatchRun {
    client: Client,
    name: String,
    after_revision: i64,
}

carries_metadata!(WatchRun);

impl WatchRun {
    /// Only what is newer than this revision, to go on after the last one seen.
    pub fn after_revision(mut self, revision: i64) -> Self {
        self.after_revision = revision;
        self
    }

    /// The snapshots.
    pub fn send(self) -> Items<Run> {
        watch(self.client, self.name, WatchState::One { revision: self.after_revision })
    }
}

/// Asks for the snapshots of many runs; see [`Client::watch_tenant`], [`Client::watch_organization`] and [`Client::watch_all`].
#[derive(Debug, Clone)]
#[must_use = "a request does nothing until it is sent"]
pub struct WatchRuns {
    client: Client,
    name: String,
}

carries_metadata!(WatchRuns);

impl WatchRuns {
    /// The snapshots.
    pub fn send(self) -> Items<Run> {
        watch(self.client, self.name, WatchState::many())
    }
}

/// Asks for the snapshots of a batch's runs; see [`Client::watch_batch`].
#[derive(Debug, Clone)]
#[must_use = "a request does nothing until it is sent"]
pub struct WatchBatch {
    client: Client,
    name: String,
}

carries_metadata!(WatchBatch);

impl WatchBatch {
    /// The snapshots.
    pub fn send(self) -> Items<Run> {
        watch(self.client, self.name, WatchState::batch())
    }
}
