//! The expansion and cancellation of batches, one chunk at a time. Every server takes part, and none has to.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use crate::{
    app::FlagSnapshot,
    domain::{Flag, OrganizationId, Skip, TenantId},
    error::Error,
    runner::{
        context::{RunnerContext, error_chain},
        feature_skip::feature_skip,
    },
    store::{ChunkLimits, ChunkResult, StatementTime},
    wake::{Topic, WakeUp},
};

/// A chunk is small, because a request for one of its tenants waits for its commit: that is a few milliseconds, of which smaller ones would
/// save hardly any (`bench batch`). What is made ahead is little beside a large batch, so that the queue is no longer for it, and nothing is
/// to be undone when it is cancelled.
pub const CHUNK_LIMITS: ChunkLimits = ChunkLimits { size: 200, live: 5000 };
/// Between polls while a batch waits for some of its runs to end.
const BUSY_POLL_INTERVAL: Duration = Duration::from_millis(100);
/// Between polls otherwise: what a lost wake-up costs.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Processes batches. Never ends.
pub(in crate::runner) async fn keep_processing_batches(context: Arc<RunnerContext>) {
    let mut wake_ups = context.wake.subscribe(Topic::Batches);
    loop {
        let pause = match process_chunk(&context, None).await {
            // At once: chunks are small so that others get between them, not to make the batch take longer.
            Ok(Some(_)) => continue,
            Ok(None) => match context.store.has_batch_to_process().await {
                Ok(true) => BUSY_POLL_INTERVAL,
                _ => POLL_INTERVAL,
            },
            Err(error) => {
                tracing::warn!(error = %error_chain(&error), "cannot work on a batch");
                POLL_INTERVAL
            }
        };
        tokio::select! {
            () = sleep(pause) => {}
            _ = wake_ups.next() => {}
        }
    }
}

/// Processes one chunk, if there is one.
async fn process_chunk(context: &RunnerContext, now: StatementTime) -> Result<Option<ChunkResult>, Error> {
    // Before the chunk: without the kill switch, no run is created.
    let flags = context.flags.now().await?;
    let processed =
        context.store.process_batch_chunk(now, CHUNK_LIMITS, |tenant, of| flag_skip(&flags, tenant, of)).await?;
    if let Some(processed) = &processed {
        // After the commit of the chunk.
        context.wake.send(WakeUp::RunsReady);
        for run in &processed.cancelling {
            context.wake.send(WakeUp::CancelRequested(*run));
        }
        // The batch's own id, too: a stream of it checks whether that was the last of it.
        context.wake.send(WakeUp::RunsChanged(processed.changed.iter().copied().chain([processed.batch]).collect()));
        if processed.is_done {
            tracing::info!(batch_id = %processed.batch, "nothing is left to do of a batch but its runs");
        }
    }
    Ok(processed)
}

/// Returns the skip of a tenant for which the flag was switched off after the batch was accepted.
fn flag_skip(flags: &FlagSnapshot, tenant: &TenantId, organization: Option<&OrganizationId>) -> Option<Skip> {
    feature_skip(flags.require(Flag::CategoryMirroring, tenant, organization))
}
