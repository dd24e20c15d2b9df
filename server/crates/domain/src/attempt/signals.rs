//! What the end of an attempt shows of Google as a whole, and of the credentials that the attempt used.

use std::time::Duration;

use super::{
    super::{AccountId, Failure, FailureReason, Retry, RunResult, TenantId},
    outcome::AttemptOutcome,
};

/// What an attempt shows of Google as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamSignal {
    /// Google works: it has answered, even if with a refusal of something in particular.
    Reachable,
    /// Google may be failing for all locations.
    Failing {
        /// How long Google asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// Nothing.
    None,
}

/// What an attempt shows of the credentials that it used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialsSignal {
    /// Google accepts them.
    Accepted,
    /// Google rejects them.
    Rejected,
    /// Nothing.
    None,
}

/// Returns what an attempt shows of Google as a whole. `called` is whether the attempt has had a client to call Google with: the success of
/// one that had none shows nothing.
#[must_use]
pub fn upstream_signal(outcome: &AttemptOutcome, called: bool) -> UpstreamSignal {
    match outcome {
        AttemptOutcome::Ended(RunResult::Succeeded) if called => UpstreamSignal::Reachable,
        AttemptOutcome::Ended(RunResult::Failed(failure)) if may_concern_every_location(failure) => {
            let retry_after = if let Retry::After(wait) = failure.retry { Some(wait) } else { None };
            UpstreamSignal::Failing { retry_after }
        }
        AttemptOutcome::Ended(RunResult::Failed(failure))
            if failure.reason.proves_upstream_reachable() || failure.is_about_one_location() =>
        {
            UpstreamSignal::Reachable
        }
        _ => UpstreamSignal::None,
    }
}

/// Returns what an attempt shows of the credentials that it used.
#[must_use]
pub fn credentials_signal(outcome: &AttemptOutcome) -> CredentialsSignal {
    match outcome {
        AttemptOutcome::Ended(RunResult::Succeeded) => CredentialsSignal::Accepted,
        AttemptOutcome::Ended(RunResult::Failed(failure)) => {
            let is_rejected = failure.reason == FailureReason::CredentialsRejected;
            if is_rejected && !failure.is_accepted_elsewhere() {
                CredentialsSignal::Rejected
            } else if failure.reason.proves_upstream_reachable() || failure.is_accepted_elsewhere() {
                CredentialsSignal::Accepted
            } else {
                CredentialsSignal::None
            }
        }
        _ => CredentialsSignal::None,
    }
}

/// Returns the name that a failure is counted under by the circuit breaker: the tenant, or the account whose own credentials were used.
/// Such an account has a quota and a token endpoint of its own, so it counts as one, however many of its tenants meet the failure.
#[must_use]
pub fn failure_scope(tenant: &TenantId, account_with_own_credentials: Option<&AccountId>, failure: &Failure) -> String {
    match account_with_own_credentials {
        Some(account) if failure.reason != FailureReason::UpstreamUnavailable => account.resource_name(),
        _ => tenant.resource_name(),
    }
}

/// Whether a failure may pass, and may be one of Google's as a whole.
pub(super) fn may_concern_every_location(failure: &Failure) -> bool {
    use FailureReason::{QuotaExhausted, UpstreamInvalid, UpstreamUnavailable};
    failure.retry != Retry::Never
        && matches!(failure.reason, UpstreamUnavailable | UpstreamInvalid | QuotaExhausted)
        && !failure.is_about_one_location()
}

#[cfg(test)]
mod tests {
    use super::{super::super::Skip, *};

    const WAIT: Duration = Duration::from_secs(60);

    #[test]
    fn each_end_shows_what_it_shows_of_google_and_of_the_credentials() {
        use FailureReason as Reason;
        let transient = |reason| Failure::transient(reason, "");
        let permanent = |reason| Failure::permanent(reason, "");
        let throttled = || transient(Reason::QuotaExhausted).with("upstream_reason", "THROTTLED");
        let after = |failure| Failure { retry: Retry::After(WAIT), ..failure };
        let skip =
            Skip { reason: super::super::super::SkipReason::Cooldown, message: String::new(), metadata: [].into() };
        let ended = AttemptOutcome::Ended;
        let failed = |failure| ended(RunResult::Failed(failure));
        let failing = |retry_after| UpstreamSignal::Failing { retry_after };
        let (up, unknown) = (UpstreamSignal::Reachable, UpstreamSignal::None);
        let (good, bad, none) = (CredentialsSignal::Accepted, CredentialsSignal::Rejected, CredentialsSignal::None);
        for (outcome, upstream, credentials) in [
            (ended(RunResult::Succeeded), up, good),
            (ended(RunResult::Skipped(skip)), unknown, none),
            (ended(RunResult::Cancelled), unknown, none),
            (AttemptOutcome::Superseded, unknown, none),
            (AttemptOutcome::Interrupted, unknown, none),
            (AttemptOutcome::LeaseLost, unknown, none),
            // Google does not answer, or not usefully.
            (failed(transient(Reason::UpstreamUnavailable)), failing(None), none),
            (failed(transient(Reason::UpstreamInvalid)), failing(None), none),
            (failed(after(transient(Reason::QuotaExhausted))), failing(Some(WAIT)), none),
            // One location alone, or nothing that may pass.
            (failed(throttled()), up, none),
            (failed(after(throttled())), up, none),
            (failed(permanent(Reason::UpstreamInvalid)), unknown, none),
            (failed(permanent(Reason::UpstreamUnavailable)), unknown, none),
            // Answers.
            (failed(permanent(Reason::InvalidCategory)), up, good),
            (failed(permanent(Reason::LocationNotFound)), up, good),
            (failed(permanent(Reason::PermissionDenied)), up, good),
            (failed(permanent(Reason::UpstreamRejected)), up, good),
            (failed(permanent(Reason::VerifyMismatch)), up, good),
            // Credentials.
            (failed(permanent(Reason::CredentialsRejected)), unknown, bad),
            (failed(permanent(Reason::CredentialsRejected).but_accepted_elsewhere()), unknown, good),
            (failed(permanent(Reason::CredentialsRejected).cached()), unknown, bad),
            (failed(permanent(Reason::CredentialsUnreadable)), unknown, none),
            // The service's own.
            (failed(permanent(Reason::Guard)), unknown, none),
            (failed(transient(Reason::Internal)), unknown, none),
            (failed(transient(Reason::TargetChanged)), unknown, none),
        ] {
            assert_eq!(upstream_signal(&outcome, true), upstream, "{outcome:?}");
            assert_eq!(credentials_signal(&outcome), credentials, "{outcome:?}");
        }
        assert_eq!(upstream_signal(&ended(RunResult::Succeeded), false), unknown, "it has not called");
    }

    #[test]
    fn a_failure_counts_for_the_account_whose_own_it_may_be() {
        let (tenant, account) = (TenantId::parse("t").expect("an id"), AccountId::parse("7").expect("an id"));
        let quota = Failure::transient(FailureReason::QuotaExhausted, "");
        let outage = Failure::transient(FailureReason::UpstreamUnavailable, "");
        for (account, failure, scope) in [
            (None, &quota, "tenants/t"),
            (None, &outage, "tenants/t"),
            (Some(&account), &quota, "accounts/7"),
            (Some(&account), &outage, "tenants/t"),
        ] {
            assert_eq!(failure_scope(&tenant, account, failure), scope, "{account:?} {failure:?}");
        }
    }
}
