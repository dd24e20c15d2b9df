//! The failures of runs that neither Google nor a guard reports.

use super::super::{Failure, FailureReason, NotRevertible, SourceError, TenantId};

/// The failure of a run whose tenant was deleted before its attempt began.
#[must_use]
pub fn tenant_deleted(tenant: &TenantId) -> Failure {
    Failure::permanent(FailureReason::TenantNotFound, format!("{} was deleted", tenant.resource_name()))
}

/// The failure of a run whose tenant has no location.
#[must_use]
pub fn no_location(tenant: &TenantId) -> Failure {
    Failure::permanent(FailureReason::NoLocation, format!("{} has no GBP location", tenant.resource_name()))
}

/// The failure of a run whose tenant has no account to call Google for.
#[must_use]
pub fn no_account(tenant: &TenantId) -> Failure {
    Failure::permanent(FailureReason::NoLocation, format!("{} has no GBP account", tenant.resource_name()))
}

/// The failure of an attempt whose tenant was moved to another location. Nothing was written.
#[must_use]
pub fn location_changed(tenant: &TenantId) -> Failure {
    let tenant = tenant.resource_name();
    let message = format!("the GBP location of {tenant} was changed between the read and the write");
    Failure::transient(FailureReason::TargetChanged, message).with("tenant", tenant)
}

/// The failure of an attempt whose tenant has other categories or another location than it had planned for. Nothing was written.
#[must_use]
pub fn categories_changed(tenant: &TenantId) -> Failure {
    let tenant = tenant.resource_name();
    let message = format!("the categories or the location of {tenant} were changed between the read and the write");
    Failure::transient(FailureReason::TargetChanged, message).with("tenant", tenant)
}

/// The failure of an attempt whose write was not sent, because its lease might have expired before Google's answer.
#[must_use]
pub fn write_not_sent() -> Failure {
    let message = "the write was not sent, because less time was left of the run's lease than a request may take";
    Failure::transient(FailureReason::Internal, message)
}

/// The failure of an attempt that met a defect of the service. The next attempt may meet it too, so it counts: the run comes to an end.
#[must_use]
pub fn defect() -> Failure {
    Failure::transient(FailureReason::Internal, "the service could not carry the attempt out; its log has the cause")
}

/// The failure of a revert of `run` (`tenants/{tenant}/runs/{run}`).
#[must_use]
pub fn not_revertible(run: &str, why: &NotRevertible) -> Failure {
    let failure =
        Failure::permanent(FailureReason::NotRevertible, format!("{run} cannot be reverted: {why}")).with("run", run);
    match why {
        NotRevertible::Changed { left, now } | NotRevertible::Unresolved { left, now, .. } => {
            failure.with("expected", left).with("actual", now)
        }
        _ => failure,
    }
}

/// The failure of a run whose source cannot be mirrored.
#[must_use]
pub fn source_failure(error: SourceError) -> Failure {
    let reason = match &error {
        SourceError::Empty | SourceError::EmptyLocation => FailureReason::EmptySource,
        SourceError::UnmappedPrimary(_) => FailureReason::UnmappedPrimary,
        SourceError::TooMany { .. } => FailureReason::TooManyCategories,
        SourceError::NoFreeSlug(_) => FailureReason::InvalidCategory,
    };
    let failure = Failure::permanent(reason, error.to_string());
    match error {
        SourceError::Empty | SourceError::EmptyLocation => failure,
        SourceError::UnmappedPrimary(slug) => failure.with("platform_category", slug.resource_name()),
        SourceError::TooMany { count, limit } => failure.with("count", count).with("limit", limit),
        SourceError::NoFreeSlug(gcid) => failure.with("gbp_category", gcid.resource_name()),
    }
}
