//! What the end of an attempt means for other runs: for all of the process, and for those of the same account.

use std::time::Instant;

use crate::{
    app::CredentialsOutcome,
    domain::{
        AttemptOutcome, CredentialsSignal, RunResult, UpstreamSignal, credentials_signal, failure_scope,
        upstream_signal,
    },
    runner::{
        attempt::{AttemptContext, Journal},
        context::RunnerContext,
    },
};

/// Reports to the circuit breaker what an attempt that began at `began` shows of Google as a whole.
pub(super) fn to_circuit(
    runner: &RunnerContext,
    context: &AttemptContext,
    journal: &Journal,
    outcome: &AttemptOutcome,
    began: Instant,
) {
    // Before the account's report, which may wait for the database: every call that fails in the meantime is one too many.
    let circuit = &runner.circuit;
    let credentials = journal.credentials();
    match (upstream_signal(outcome, credentials.is_some()), outcome) {
        (UpstreamSignal::Reachable, _) => circuit.succeeded(Instant::now()),
        (UpstreamSignal::Failing { retry_after }, AttemptOutcome::Ended(RunResult::Failed(failure))) => {
            let own = credentials.and_then(|(account, version)| version.map(|_| account));
            let scope = failure_scope(&context.run.tenant, own, failure);
            circuit.failed(began, Instant::now(), &scope, retry_after);
        }
        // No call, or none that shows anything: the circuit stays as it is.
        _ => {}
    }
}

/// Reports what an attempt shows of the credentials that it used. Returns what that means for the attempt: it may have to wait for others.
pub(super) async fn to_accounts(
    runner: &RunnerContext,
    context: &AttemptContext,
    journal: &Journal,
    outcome: AttemptOutcome,
) -> AttemptOutcome {
    let Some((account, version)) = journal.credentials() else { return outcome };
    match (credentials_signal(&outcome), outcome) {
        (CredentialsSignal::Rejected, AttemptOutcome::Ended(RunResult::Failed(failure))) => {
            // The first run to find out fails; the others of the account wait until the credentials are accepted or replaced.
            let failure = runner.accounts.refused(account, version, failure, context.run.created_at).await;
            AttemptOutcome::Ended(RunResult::Failed(failure))
        }
        (CredentialsSignal::Accepted, outcome) => {
            runner.accounts.record_outcome(account, version, CredentialsOutcome::Accepted).await;
            outcome
        }
        (_, outcome) => outcome,
    }
}
