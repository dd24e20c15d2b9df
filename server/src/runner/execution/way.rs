//! The way of an attempt, in one function.

use std::{panic::AssertUnwindSafe, time::Instant};

use futures::FutureExt;
use tracing::Span;

use super::{batch_guard, earlier_write, observe, record, signals, telemetry};
use crate::{
    domain::{Skip, closed_location_skip, conflict_skip, enforce},
    error::Error,
    runner::{
        attempt::{self, Abort, BegunAttempt, Request},
        context::RunnerContext,
        strategies::StrategySteps,
    },
    wake::WakeUp,
};

/// Follows the whole way of an attempt: claim, observe, plan, guard, write, verify, record.
///
/// The order is the contract. What an earlier attempt wrote is concluded before anything else can end the run. Every check comes before the
/// capability is used, and what another person or server can change comes last. No transaction is open, and no connection is held, while
/// Google is called.
pub(super) async fn follow<S: StrategySteps, Slot>(
    runner: &RunnerContext,
    mut claimed: Box<BegunAttempt>,
    slot: Slot,
    span: &Span,
) {
    // Claim: the lease is held, and every statement about the run names its fencing token.
    let BegunAttempt { context, journal, snapshot } = &mut *claimed;
    let (context, snapshot, began) = (&*context, snapshot.take(), Instant::now());
    // Boxed: the enclosing future would store the steps twice over, and a run would take 40 kB. The journal stays outside: it is there
    // however the steps end.
    let steps = Box::pin(async {
        // Observe the platform's side, and what became of an earlier attempt's write.
        let source = observe::source(context, journal, snapshot).await?;
        if earlier_write::conclude(context, journal, &source).await? {
            return Ok(());
        }
        context.check_cancelled()?;
        observe::check_due(context, &source).await?;
        journal.goes_by(&source);
        let (strategy, capability) = S::open(context, journal, &source).await?;
        // Plan, from a complete read of both sides.
        let request = Request::read(context).await?;
        let plan = strategy.plan(context, journal, &source, &request).await?;
        let plan = journal.planned(context.run.kind, plan);
        request.check(&plan)?;
        // Guard.
        if !plan.is_empty() {
            attempt::assess(context, journal, &source).await?;
        }
        let Some(capability) = capability else {
            return strategy.finish_dry_run(context, journal, plan).await;
        };
        let (kind, options, tenant) = (context.run.kind, &context.run.options, &source.tenant);
        skip(closed_location_skip(kind, journal.sync.issues(), tenant.location.as_ref()))?;
        if plan.is_empty() {
            return Ok(());
        }
        context.check_cancelled()?;
        skip(conflict_skip(kind, options, &journal.sync, &tenant.id, source.read_at))?;
        enforce(&plan.guards)?;
        // Once more, as late as possible: this is the kill switch.
        context.check_flag(tenant).await?;
        // Last, because a place of the batch that is taken is not given back.
        batch_guard::reserve(context, &plan).await?;
        // Write, once.
        let written = strategy.write(context, journal, &source, &request, &plan, capability).await?;
        // Verify.
        strategy.verify(journal, &plan, written)
    });
    // A lost lease ends the steps wherever they are: what they would do next is another worker's by now.
    let ended = context.lease.lost.run_until_cancelled(catch_panic(steps)).await.unwrap_or(Err(Abort::LeaseLost));
    // Record: in the log and the metrics, for the circuit breaker and the account's other runs, and in the run itself.
    telemetry::record_attempt_end(&ended, span);
    let outcome = record::outcome_of(context, ended);
    signals::to_circuit(runner, context, journal, &outcome, began);
    let outcome = signals::to_accounts(runner, context, journal, outcome).await;
    // Before the record, which waits for a commit: another attempt can have the slot.
    drop(slot);
    // Boxed as well: an attempt that goes on waits in it for one commit, and one that ends holds its plan several times.
    if Box::pin(record::record(runner, context, journal, outcome)).await {
        runner.wake.send(WakeUp::RunsChanged([context.run.id].into()));
    }
}

fn skip(reason: Option<Skip>) -> Result<(), Abort> {
    reason.map_or(Ok(()), |reason| Err(reason.into()))
}

/// Makes an end of a panic, too, so that it is recorded at once. The panic itself is on stderr.
async fn catch_panic<T>(work: impl Future<Output = Result<T, Abort>>) -> Result<T, Abort> {
    let panicked = |_| Err(Abort::ServiceError(Error::Internal("an attempt panicked".into())));
    // Sound, as what a panic may leave half done is only the journal, whose notes are single assignments.
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(panicked)
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
