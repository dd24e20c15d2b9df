//! What an earlier attempt of the run wrote, or may have written: concluded before anything else can end the run.
//!
//! A run writes once. Once its write is known to have taken effect, the run has succeeded, with the plan and the observation of the attempt
//! that wrote; what has changed since is for the next run.

use super::{Abort, AttemptExecution};
use crate::{
    domain::{CategorySet, Failure, FailureReason, RunResult, WriteIntent, WriteOutcome},
    runner::platform_to_gbp::location_of,
    store::TenantSnapshot,
};

impl AttemptExecution {
    /// Concludes the write of an earlier attempt. `None`: nothing was written, so the run is planned anew.
    ///
    /// As long as the outcome is not known, the intent stays in the progress, and with it in the run, however the attempt ends.
    pub(super) async fn conclude_earlier_write(
        &mut self,
        source: &std::sync::Arc<TenantSnapshot>,
    ) -> Result<Option<RunResult>, Abort> {
        // A write to the platform and its record are one transaction: only the end of the run is missing.
        if !self.progress.written.is_empty() {
            self.read = Some(source.clone());
            self.resume(source).await?;
            return Ok(Some(RunResult::Succeeded));
        }
        let Some(intent) = self.progress.write_intent.clone() else { return Ok(None) };
        self.read = Some(source.clone());
        let location = match &intent.location {
            Some(location) => location.clone(),
            None => location_of(&source.tenant)?,
        };
        let side = self.reader(source).await?.merchant_view(&location).await?;
        match side.outcome_of(&intent) {
            WriteOutcome::Applied => {
                tracing::info!(run_id = %self.run.id, "the write of an earlier attempt took effect");
                self.resume(source).await?;
                self.sync_tracker.observed(&side);
                self.sync_tracker.has_written(&intent.after);
                self.progress.written = intent.changes.into_iter().map(|change| change.recorded()).collect();
                self.progress.write_intent = None;
                Ok(Some(RunResult::Succeeded))
            }
            WriteOutcome::NotApplied => {
                self.progress.write_intent = None;
                Ok(None)
            }
            WriteOutcome::Unknown => Err(unknown_outcome(&intent, side.merchant.get().as_ref()).into()),
        }
    }
}

/// The failure of a run whose target is neither what it was before the write nor what was asked for. What is there may be another actor's,
/// so nothing of it is claimed, and nothing is written over it.
pub(in crate::runner) fn unknown_outcome(intent: &WriteIntent, actual: Option<&CategorySet>) -> Failure {
    let shown = |set: Option<&CategorySet>| set.map_or_else(|| "no categories".to_owned(), ToString::to_string);
    let (before, actual) = (shown(intent.before.as_ref()), shown(actual));
    let message =
        format!("the location has {actual}, neither {before} as before the write nor {} as asked", intent.after);
    Failure::permanent(FailureReason::VerifyMismatch, message)
        .with("before", before)
        .with("expected", &intent.after)
        .with("actual", actual)
}
