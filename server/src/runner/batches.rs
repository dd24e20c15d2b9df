//! Making and cancelling the runs of batches, a chunk at a time. Every server does, and none has to.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use super::{Tools, attempt, cause};
use crate::{
    app::FlagSnapshot,
    domain::{Flag, OrganizationId, Skip, TenantId},
    error::Error,
    store::{Chunk, Now, Worked},
    wake::{Hint, Topic},
};

/// A chunk is small, because a request for one of its tenants waits for its commit: that is a few milliseconds, of which smaller ones would
/// save hardly any (`bench batch`). What is made ahead is little beside a large batch, so that the queue is no longer for it, and nothing is
/// to be undone when it is cancelled.
pub(crate) const CHUNK: Chunk = Chunk { size: 200, live: 5000 };
/// Between looks while a batch waits for some of its runs to end.
const POLL_BUSY: Duration = Duration::from_millis(100);
/// Between looks otherwise: what a lost hint costs.
const POLL: Duration = Duration::from_secs(1);

/// Works on batches. Never ends.
pub(super) async fn run(tools: Arc<Tools>) {
    let mut hints = tools.wake.subscribe(Topic::Batches);
    loop {
        let pause = match work(&tools, None).await {
            Ok(Some(_)) => continue,
            Ok(None) => match tools.store.has_batch_work().await {
                Ok(true) => POLL_BUSY,
                _ => POLL,
            },
            Err(error) => {
                tracing::warn!(error = %cause(&error), "cannot work on a batch");
                POLL
            }
        };
        tokio::select! {
            () = sleep(pause) => {}
            _ = hints.next() => {}
        }
    }
}

/// Does one chunk, where there is one to do.
pub(super) async fn work(tools: &Tools, now: Now) -> Result<Option<Worked>, Error> {
    let flags = tools.flags.now().await?;
    let worked = tools.store.work_on_batch(now, CHUNK, |tenant, of| switched_off(&flags, tenant, of)).await?;
    if let Some(worked) = &worked {
        tools.wake.hint(Hint::Queued);
        for run in &worked.cancelling {
            tools.wake.hint(Hint::Cancel(*run));
        }
        // The batch's own id, too: a stream of it looks whether that was the last of it.
        tools.wake.hint(Hint::Changed(worked.changed.iter().copied().chain([worked.batch]).collect()));
        if worked.is_done {
            tracing::info!(batch = %worked.batch, "nothing is left to do of a batch but its runs");
        }
    }
    Ok(worked)
}

/// A tenant that was in when the batch was accepted, and that the flag is off for since.
fn switched_off(flags: &FlagSnapshot, tenant: &TenantId, organization: Option<&OrganizationId>) -> Option<Skip> {
    attempt::disabled(flags.require(Flag::CategoryMirroring, tenant, organization))
}
