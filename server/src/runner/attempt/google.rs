//! In whose name an attempt asks Google, and what that shows.
//!
//! The accounts are out of the strategies' reach: each is given what it needs of Google, and that is all that it has.

use super::{Abort, AttemptExecution};
use crate::{
    app::{AccountClients, CredentialsOutcome},
    domain::{Failure, FailureReason, RunResult},
    gbp,
    store::TenantSnapshot,
};

/// The accounts in whose names Google is asked.
#[derive(Debug, Clone)]
pub(in crate::runner) struct AccountClientHandle(AccountClients);

impl AccountClientHandle {
    pub(in crate::runner) fn new(accounts: AccountClients) -> Self {
        Self(accounts)
    }

    /// Counts for the metrics whom Google refuses.
    pub(in crate::runner) async fn count(&self) {
        self.0.count().await;
    }
}

impl AttemptExecution {
    /// The way to Google, in the name of the tenant's account.
    pub(super) async fn google(&mut self, source: &TenantSnapshot) -> Result<gbp::Client, Abort> {
        let Some(account) = &source.tenant.account else {
            let message = format!("tenants/{} has no GBP account", source.tenant.id);
            return Err(Failure::permanent(FailureReason::NoLocation, message).into());
        };
        let version = source.credentials.as_ref();
        let client = self.context.accounts.0.client(account, version, source.read_at, self.run.created_at).await??;
        self.used_credentials = Some((account.clone(), version.cloned()));
        Ok(client.traced(self.traceparent.clone()))
    }

    /// The way to Google for those who read only.
    pub(in crate::runner) async fn reader(&mut self, source: &TenantSnapshot) -> Result<gbp::Reader, Abort> {
        Ok(self.google(source).await?.reader())
    }

    /// Whom a failure is about, as far as one can tell from it alone. Credentials of an account's own come with a quota and a token endpoint
    /// of their own, so however many of its tenants meet the end of these, it is one.
    pub(super) fn failure_scope(&self, failure: &Failure) -> String {
        match &self.used_credentials {
            Some((account, Some(_))) if failure.reason != FailureReason::UpstreamUnavailable => account.resource_name(),
            _ => self.run.tenant.resource_name(),
        }
    }

    /// What the attempt says of the credentials that it went with, and what these mean for it: it may have to wait for others.
    pub(super) async fn report_to_accounts(&self, outcome: Result<RunResult, Abort>) -> Result<RunResult, Abort> {
        let Some((account, version)) = &self.used_credentials else { return outcome };
        let accounts = &self.context.accounts.0;
        match outcome {
            Err(Abort::Failed(failure)) if is_rejection(&failure) => {
                let failure = accounts.refused(account, version.as_ref(), failure, self.run.created_at).await;
                Err(Abort::Failed(failure))
            }
            Ok(RunResult::Succeeded) => {
                accounts.record_outcome(account, version.as_ref(), CredentialsOutcome::Accepted).await;
                outcome
            }
            Err(Abort::Failed(failure))
                if failure.reason.proves_upstream_reachable() || failure.is_accepted_elsewhere() =>
            {
                accounts.record_outcome(account, version.as_ref(), CredentialsOutcome::Accepted).await;
                Err(Abort::Failed(failure))
            }
            _ => outcome,
        }
    }
}

fn is_rejection(failure: &Failure) -> bool {
    failure.reason == FailureReason::CredentialsRejected && !failure.is_accepted_elsewhere()
}
