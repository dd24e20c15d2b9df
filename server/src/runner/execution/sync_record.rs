//! What the end of a run records of its tenant's two sides.

use crate::{
    domain::{RecordedSync, RunResult, SyncConclusion, SyncEnd},
    error::Error,
    runner::{
        attempt::{AttemptContext, Journal, assess},
        context::error_chain,
    },
    store::{SyncObservation, TenantSnapshot},
};

/// Returns what the attempt has found that is not recorded yet. An error is ignored but for a line in the log: the run ends as it ended, and
/// the next run observes the sides again.
pub(super) async fn observation(
    context: &AttemptContext,
    journal: &mut Journal,
    result: &RunResult,
) -> Option<SyncObservation> {
    // Without a source that it goes by, the attempt has not got as far as the location.
    let source = journal.source()?.clone();
    new_observation(context, journal, &source, result).await.unwrap_or_else(|error| {
        tracing::warn!(run_id = %context.run.id, error = %error_chain(&error), "cannot tell how the tenant's sides stand");
        None
    })
}

async fn new_observation(
    context: &AttemptContext,
    journal: &mut Journal,
    source: &TenantSnapshot,
    result: &RunResult,
) -> Result<Option<SyncObservation>, Error> {
    let Some(location) = source.tenant.location.clone() else { return Ok(None) };
    let recorded = source.last_observation.as_ref().map(|last| RecordedSync {
        digest: last.digest.as_deref(),
        matches_baseline: last.matches_baseline,
        failed: last.failed,
    });
    let write_intent = journal.progress().write_intent.as_ref();
    let end = SyncEnd { kind: context.run.kind, result, write_intent, recorded };
    let failed = SyncObservation::failed;
    let change = match SyncConclusion::of(&journal.sync, &end) {
        SyncConclusion::Nothing => return Ok(None),
        SyncConclusion::Failed => return Ok(Some(failed(location))),
        SyncConclusion::Unresolved(set) => {
            return Ok(Some(SyncObservation { unresolved: Some(set), ..failed(location) }));
        }
        SyncConclusion::Changed(change) => change,
    };
    // Only now: most runs find what is recorded already, and it costs statements.
    if journal.sync.assessment().is_none() {
        assess(context, journal, source).await?;
    }
    Ok(change.record(&journal.sync, source.read_at).map(|record| SyncObservation {
        location,
        cause: record.cause,
        digest: record.digest,
        matches_baseline: record.matches_baseline,
        desired: Some(record.desired),
        google: record.google,
        baseline: record.baseline,
        written: record.written,
        unresolved: None,
        resolved: record.resolved,
        overwritten_at: record.overwritten_at,
        in_conflict: record.in_conflict,
    }))
}
