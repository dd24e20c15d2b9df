//! What an earlier attempt of the run wrote, or may have written: concluded before anything else can end the run.
//!
//! A run writes once. Once its write is known to have taken effect, the run has succeeded, with the plan and the observation of the attempt
//! that wrote; what has changed since is for the next run.

use std::sync::Arc;

use crate::{
    domain::{WriteOutcome, no_location, unknown_outcome},
    runner::attempt::{Abort, AttemptContext, Journal, gbp_reader, resume},
    store::TenantSnapshot,
};

/// Concludes the write of an earlier attempt. Returns whether the run has succeeded by it; if not, nothing was written, and the run is
/// planned anew.
///
/// As long as the outcome is unknown, the intent stays in the journal, and with it in the run, however the attempt ends.
pub(super) async fn conclude(
    context: &AttemptContext,
    journal: &mut Journal,
    source: &Arc<TenantSnapshot>,
) -> Result<bool, Abort> {
    // A write to the platform and its record are one transaction: only the end of the run is missing.
    if !journal.progress().written.is_empty() {
        journal.goes_by(source);
        resume(context, journal, source).await?;
        return Ok(true);
    }
    let Some(intent) = journal.progress().write_intent.clone() else { return Ok(false) };
    journal.goes_by(source);
    let location = match &intent.location {
        Some(location) => location.clone(),
        // Recorded by a server that did not note the location: a tenant with an intent is not moved, so it is this one.
        None => source.tenant.location.clone().ok_or_else(|| no_location(&source.tenant.id))?,
    };
    let side = gbp_reader(context, journal, source).await?.merchant_view(&location).await?;
    match side.outcome_of(&intent) {
        WriteOutcome::Applied => {
            tracing::info!(run_id = %context.run.id, "the write of an earlier attempt took effect");
            // First what the attempt that wrote had observed, then what is there now.
            resume(context, journal, source).await?;
            journal.earlier_write_applied(intent, &side);
            Ok(true)
        }
        WriteOutcome::NotApplied => {
            journal.not_applied();
            Ok(false)
        }
        WriteOutcome::Unknown => Err(unknown_outcome(&intent, side.merchant.get().as_ref()).into()),
    }
}
