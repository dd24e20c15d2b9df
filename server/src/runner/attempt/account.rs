//! In whose name an attempt asks Google, and what is learnt of it.
//!
//! The accounts are out of the strategies' reach: each is given what it needs of Google, and that is all that it has.

use super::{Attempt, Stop};
use crate::{
    app::{Accounts, Learnt},
    domain::{Failure, FailureReason, RunResult},
    gbp,
    store::Source,
};

/// The accounts in whose names Google is asked.
#[derive(Debug, Clone)]
pub(in crate::runner) struct Names(Accounts);

impl Names {
    pub(in crate::runner) fn new(accounts: Accounts) -> Self {
        Self(accounts)
    }

    /// Counts for the metrics whom Google refuses.
    pub(in crate::runner) async fn count(&self) {
        self.0.count().await;
    }
}

impl Attempt {
    /// The way to Google, in the name of the tenant's account.
    pub(super) async fn google(&mut self, source: &Source) -> Result<gbp::Client, Stop> {
        let Some(account) = &source.tenant.account else {
            let message = format!("tenants/{} has no GBP account", source.tenant.id);
            return Err(Failure::permanent(FailureReason::NoLocation, message).into());
        };
        let mark = source.credentials.as_ref();
        let client = self.tools.accounts.0.client(account, mark, source.read_at, self.run.created_at).await??;
        self.name = Some((account.clone(), mark.cloned()));
        Ok(client.traced(self.traceparent.clone()))
    }

    /// The way to Google for those who read only.
    pub(in crate::runner) async fn reader(&mut self, source: &Source) -> Result<gbp::Reader, Stop> {
        Ok(self.google(source).await?.reader())
    }

    /// Whom a failure is about, as far as one can tell from it alone. Credentials of an account's own come with a quota and a token endpoint
    /// of their own, so however many of its tenants meet the end of these, it is one.
    pub(super) fn blamed(&self, failure: &Failure) -> String {
        match &self.name {
            Some((account, Some(_))) if failure.reason != FailureReason::UpstreamUnavailable => account.resource_name(),
            _ => self.run.tenant.resource_name(),
        }
    }

    /// What the attempt says of the credentials that it went with, and what these mean for it: it may have to wait for others.
    pub(super) async fn tell_accounts(&self, outcome: Result<RunResult, Stop>) -> Result<RunResult, Stop> {
        let Some((account, mark)) = &self.name else { return outcome };
        let accounts = &self.tools.accounts.0;
        match outcome {
            Err(Stop::Failed(failure)) if is_rejection(&failure) => {
                let failure = accounts.refused(account, mark.as_ref(), failure, self.run.created_at).await;
                Err(Stop::Failed(failure))
            }
            Ok(RunResult::Succeeded) => {
                accounts.learnt(account, mark.as_ref(), Learnt::Accepted).await;
                outcome
            }
            Err(Stop::Failed(failure)) if failure.reason.is_googles_answer() || failure.is_accepted_elsewhere() => {
                accounts.learnt(account, mark.as_ref(), Learnt::Accepted).await;
                Err(Stop::Failed(failure))
            }
            _ => outcome,
        }
    }
}

fn is_rejection(failure: &Failure) -> bool {
    failure.reason == FailureReason::CredentialsRejected && !failure.is_accepted_elsewhere()
}
