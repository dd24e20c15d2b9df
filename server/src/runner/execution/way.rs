//! One attempt of one run, from the claim to what is recorded of it.

mod account;
mod earlier_write;
mod ending;

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::FutureExt;
use tracing::{Instrument, Span};

use self::ending::is_google_down;
use super::{
    RunnerContext, circuit_breaker::Probe, error_chain, gbp_to_platform, held_leases::HeldLease, platform_to_gbp,
    prefetch::PrefetchedRun, record, sync_tracker::SyncTracker, worker_slots::SlotPermit,
};
use crate::{
    domain::{
        AccountId, Failure, FailureReason, Flag, RecordedPlan, Retry, Run, RunResult, Skip, SkipReason, Strategy,
        Tenant, TraceContext,
    },
    error::Error,
    spans,
    store::{AttemptProgress, ClaimedRun, CredentialsVersion, StatementTime, TenantSnapshot},
    wake::WakeUp,
};

pub(super) use account::AccountClientHandle;
pub(super) use earlier_write::unknown_outcome;

/// How often an attempt compares its source while requests keep joining its run, before another attempt begins. It bounds loops that one
/// comparison nearly always ends.
pub(super) const MAX_SOURCE_CHECKS: usize = 10;
/// Why an attempt begins anew that may not go on with the source that it has read.
pub(super) const SUPERSEDED: &str = "a request joined the run after its source was read";

/// Why an attempt went no further.
#[derive(Debug)]
pub(super) enum Abort {
    /// It failed, by the tenant, by Google, or by what the two say of each other.
    Failed(Failure),
    /// The run is not to be carried out.
    Skipped(Skip),
    /// Somebody cancelled the run, and the attempt had not begun to write.
    Cancelled,
    /// The run is in other hands: nothing more may be written, also not about it.
    LeaseLost,
    /// The run needs an attempt that begins anew, for this reason. Nothing was written, and the attempt is not counted.
    Superseded(&'static str),
    /// Our own trouble: the database is away, or there is a defect.
    ServiceError(Error),
}

impl From<Failure> for Abort {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Error> for Abort {
    fn from(error: Error) -> Self {
        Self::ServiceError(error)
    }
}

/// An attempt under way.
pub(super) struct AttemptExecution {
    pub(super) context: Arc<RunnerContext>,
    pub(super) run: Run,
    pub(super) claim: HeldLease,
    pub(super) now: StatementTime,
    /// When the run was claimed, by this process's clock.
    pub(super) claimed_at: Instant,
    /// What is known so far, over all attempts; it is recorded however the attempt ends.
    pub(super) progress: AttemptProgress,
    /// The platform's side, where it was read with that of others; within: the tenant is gone.
    source: Option<Option<TenantSnapshot>>,
    /// The platform's side as the attempt has read it.
    pub(super) read: Option<Arc<TenantSnapshot>>,
    /// How the two sides stand.
    pub(super) sync_tracker: SyncTracker,
    /// The trace that the run was asked for in.
    pub(super) traceparent: Option<TraceContext>,
    /// Whether the database may have recorded an intent whose request was not sent, because it did not say so.
    pub(super) may_have_begun: bool,
    /// In whose name Google is asked, once it is: the account, and its own credentials where it has any.
    pub(super) used_credentials: Option<(AccountId, Option<CredentialsVersion>)>,
}

impl AttemptExecution {
    pub(super) fn new(context: Arc<RunnerContext>, waiting: PrefetchedRun, now: StatementTime) -> Self {
        let PrefetchedRun { claimed, claim, source, since } = waiting;
        let ClaimedRun { mut run, observation, fencing_token: _, bulk: _, traceparent } = claimed;
        let progress = AttemptProgress {
            plan: run.plan.take(),
            written: std::mem::take(&mut run.written),
            // It stays recorded until the location was read and says what became of it.
            write_intent: run.write_intent.take(),
            observation: observation.clone(),
            read_at: None,
        };
        Self {
            context,
            run,
            claim,
            now,
            progress,
            claimed_at: since,
            source,
            read: None,
            sync_tracker: SyncTracker::after(observation),
            traceparent,
            may_have_begun: false,
            used_credentials: None,
        }
    }

    /// Carries the attempt out, in a place that others can have while the end waits for its commit, and records how it ended.
    pub(super) async fn execute(self, slot: (SlotPermit, Option<Probe>)) {
        let traced = spans::attempt(&self.run, self.traceparent.as_ref());
        let trace = spans::traceparent(&traced).or_else(|| self.traceparent.clone());
        // Each line that is logged meanwhile is this run's.
        let trace_id = trace.as_ref().map(TraceContext::trace_id);
        let logged = tracing::info_span!("attempt", run_id = %self.run.id, attempt = self.run.attempt, trace_id);
        self.execute_in_spans(slot, &traced).instrument(logged).instrument(traced.clone()).await;
    }

    async fn execute_in_spans(mut self, slot: (SlotPermit, Option<Probe>), traced: &Span) {
        let lease_lost = self.claim.lease_lost.clone();
        let began = Instant::now();
        // In a place of its own: what is around it holds it twice over, and a run would take 40 kB.
        let strategy = Box::pin(self.run_strategy());
        let outcome = lease_lost.run_until_cancelled(catch_panic(strategy)).await.unwrap_or(Err(Abort::LeaseLost));
        record::record_attempt_end(&outcome, traced);
        self.report_to_circuit(&outcome, began);
        let outcome = self.report_to_accounts(outcome).await;
        drop(slot);
        // Boxed as well: an attempt that goes on waits in it for one commit, and one that ends holds its plan several times.
        if Box::pin(self.record(outcome)).await {
            self.context.wake.send(WakeUp::RunsChanged([self.run.id].into()));
        }
    }

    /// Records what became of the attempt. Returns whether anything was recorded.
    async fn record(&mut self, outcome: Result<RunResult, Abort>) -> bool {
        match outcome {
            Ok(result) => self.finish(result).await,
            Err(Abort::Skipped(skip)) => self.finish(RunResult::Skipped(skip)).await,
            Err(Abort::Cancelled) => self.finish(RunResult::Cancelled).await,
            Err(Abort::Failed(failure)) => self.fail(failure).await,
            Err(Abort::ServiceError(error @ Error::DatabaseUnavailable(_))) => self.release_after_error(&error).await,
            Err(Abort::ServiceError(error)) => self.fail(defect(&self.run, &error)).await,
            Err(Abort::LeaseLost) => self.is_lost(),
            Err(Abort::Superseded(why)) => self.release_superseded(why).await,
        }
    }

    async fn run_strategy(&mut self) -> Result<RunResult, Abort> {
        let source = match self.source.take() {
            Some(source) => source,
            None => self.context.store.tenant_snapshots(self.now, &[&self.run]).await?.remove(&self.run.id),
        };
        let Some(source) = source else {
            let message = format!("tenants/{} was deleted", self.run.tenant);
            return Err(Failure::permanent(FailureReason::TenantNotFound, message).into());
        };
        let source = Arc::new(source);
        self.progress.read_at = Some(source.read_at);
        // First of all: a run that wrote is neither skipped nor cancelled, whatever has happened since.
        if let Some(result) = self.conclude_earlier_write(&source).await? {
            return Ok(result);
        }
        if self.claim.cancelled.is_cancelled() {
            return Err(Abort::Cancelled);
        }
        if let Some(skip) = self.reason_to_skip(&source).await? {
            return Ok(RunResult::Skipped(skip));
        }
        self.read = Some(source.clone());
        match self.run.kind.strategy {
            Strategy::PlatformToGbp => {
                let location = platform_to_gbp::location_of(&source.tenant)?;
                let google = self.google(&source).await?;
                platform_to_gbp::execute(self, &source, &location, google).await
            }
            Strategy::GbpToPlatform => gbp_to_platform::execute(self, &source).await,
        }
    }

    /// Notes the plan of this attempt. The plan is the run's, over all attempts: where an earlier attempt of a real run found differences
    /// at the same location, a later one that finds none does not hide that they were there.
    pub(super) fn planned(&mut self, plan: RecordedPlan) {
        let is_here = |earlier: &RecordedPlan| earlier.location.is_none() || earlier.location == plan.location;
        let found_before = self.progress.plan.as_ref().is_some_and(|earlier| !earlier.is_empty() && is_here(earlier));
        if self.run.kind.dry_run || !plan.is_empty() || !found_before {
            self.progress.plan = Some(plan);
        }
    }

    /// Whether the source is still what the attempt goes by, although a request has joined the run since: then what the request asks for
    /// is what the attempt is about to write, however the other side has changed.
    pub(super) async fn is_source_current(&mut self, source: &TenantSnapshot) -> Result<bool, Error> {
        let Some(now) = self.context.store.tenant_snapshots(self.now, &[&self.run]).await?.remove(&self.run.id) else {
            return Ok(false);
        };
        let is_current = now.tenant == source.tenant && now.categories == source.categories;
        if is_current {
            self.progress.read_at = Some(now.read_at);
        }
        Ok(is_current)
    }

    async fn reason_to_skip(&self, source: &TenantSnapshot) -> Result<Option<Skip>, Error> {
        if let Some(skip) = self.flag_skip(&source.tenant).await? {
            return Ok(Some(skip));
        }
        let since_success = source.last_success_at.map(|at| source.read_at - at);
        let is_cooling =
            since_success.is_some_and(|since| since.to_std().unwrap_or_default() < self.context.settings.cooldown);
        // A person who takes a run back, or decides, has seen how the tenant stands, and shall not have to wait.
        let obeys = !self.run.kind.dry_run && !self.run.options.is_decided();
        Ok((is_cooling && obeys).then(|| cooldown_skip(self.context.settings.cooldown)))
    }

    /// Whether runs of this tenant are not to be carried out now. Asked again before a write: a run may have waited since its attempt began.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] if the flags could not be read for longer than promised. It ends the attempt, which does not count.
    pub(super) async fn flag_skip(&self, tenant: &Tenant) -> Result<Option<Skip>, Error> {
        let flags = self.context.flags.now().await?;
        Ok(disabled(flags.require(Flag::TenantGbpCategorySync, &tenant.id, tenant.organization.as_ref())))
    }

    /// What the attempt says of Google as a whole; the end of one that did not ask says nothing.
    fn report_to_circuit(&self, outcome: &Result<RunResult, Abort>, began: Instant) {
        let circuit = &self.context.circuit;
        match outcome {
            Ok(RunResult::Succeeded) if self.used_credentials.is_some() => circuit.succeeded(Instant::now()),
            Err(Abort::Failed(failure)) if is_google_down(failure) => {
                let wait = if let Retry::After(wait) = failure.retry { Some(wait) } else { None };
                circuit.failed(began, Instant::now(), &self.failure_scope(failure), wait);
            }
            Err(Abort::Failed(failure))
                if failure.reason.proves_upstream_reachable() || failure.is_about_one_location() =>
            {
                circuit.succeeded(Instant::now());
            }
            _ => {}
        }
    }
}

/// What a run shows of a feature that is off.
pub(super) fn disabled(required: Result<(), Error>) -> Option<Skip> {
    let off = required.err()?;
    let metadata = off.metadata().into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    Some(Skip { reason: SkipReason::FeatureDisabled, message: off.to_string(), metadata })
}

/// Makes an end of a panic, too, so that it is recorded at once. The panic itself is on stderr, and what the attempt knew before it, the
/// intent above all, is still known.
async fn catch_panic<T>(work: impl Future<Output = Result<T, Abort>>) -> Result<T, Abort> {
    let panicked = |_| Err(Abort::ServiceError(Error::Internal("an attempt panicked".into())));
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(panicked)
}

fn cooldown_skip(cooldown: Duration) -> Skip {
    let cooldown = humantime::format_duration(cooldown).to_string();
    let message = format!("a real run of the tenant and strategy succeeded less than {cooldown} ago");
    Skip { reason: SkipReason::Cooldown, message, metadata: [("cooldown".to_owned(), cooldown)].into() }
}

/// A defect of ours may meet the next attempt too: it counts, so that it comes to an end.
fn defect(run: &Run, error: &Error) -> Failure {
    tracing::error!(run_id = %run.id, error = %error_chain(error), "an attempt met a defect");
    Failure::transient(FailureReason::Internal, "the service could not carry the attempt out; its log has the cause")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_end_like_any_other() {
        let panicking = async { panic!("on purpose") };
        assert!(matches!(catch_panic::<()>(panicking).await, Err(Abort::ServiceError(Error::Internal(_)))));
        assert!(matches!(catch_panic(async { Ok(1) }).await, Ok(1)));
    }
}
