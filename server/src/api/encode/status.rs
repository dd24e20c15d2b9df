//! Converts errors to gRPC statuses. No other module creates a [`Status`].

use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use crate::{
    domain::{Failure, Retry},
    error::Error,
};

/// Identifies this service in every error.
const DOMAIN: &str = "categorymirror.v1";
/// Time after which a caller may retry if a service is unavailable.
const RETRY_DELAY: std::time::Duration = std::time::Duration::from_secs(1);

/// Returns the status of an error, with its reason, metadata and advice. The cause of an internal error is logged here,
/// and never sent.
pub(in crate::api) fn status(error: Error) -> Status {
    if let Some(cause) = std::error::Error::source(&error) {
        match code(&error) {
            Code::Internal => tracing::error!(error = %cause, "a call failed"),
            _ => tracing::warn!(error = %cause, "{error}"),
        }
    }
    let metadata: HashMap<String, String> =
        error.metadata().into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let mut details = ErrorDetails::new();
    details.set_error_info(error.reason(), DOMAIN, metadata);
    match &error {
        Error::Invalid(violations) => {
            let violations = violations.iter().map(|v| FieldViolation::new(&v.field, &v.description));
            details.set_bad_request(violations.collect::<Vec<_>>());
        }
        Error::DatabaseUnavailable(_) | Error::Draining | Error::KeysUnavailable => {
            details.set_retry_info(Some(RETRY_DELAY));
        }
        Error::Google(Failure { retry, .. }) => match retry {
            Retry::Never => {}
            Retry::Backoff => drop(details.set_retry_info(Some(RETRY_DELAY))),
            Retry::After(wait) => drop(details.set_retry_info(Some(*wait))),
        },
        Error::RateLimited { wait, .. } => {
            metrics::counter!("category_mirror_rate_limited_total").increment(1);
            details.set_retry_info(Some(*wait));
        }
        _ => {}
    }
    Status::with_error_details(code(&error), error.to_string(), details)
}

fn code(error: &Error) -> Code {
    match error {
        Error::Invalid(_) | Error::RequestIdReused(_) | Error::InvalidPageToken => Code::InvalidArgument,
        Error::NotFound(..) | Error::NoTaxonomy(_) => Code::NotFound,
        Error::AlreadyExists(..) => Code::AlreadyExists,
        Error::LocationTaken(_)
        | Error::NoLocation(_)
        | Error::NoTenantWithLocation(_)
        | Error::ConfirmationMismatch { .. }
        | Error::OverrideMismatch { .. }
        | Error::NoDryBatch
        | Error::RunInProgress { .. }
        | Error::UnsettledWrite { .. }
        | Error::CannotJoin { .. }
        | Error::NotRevertible { .. }
        | Error::CategoryInUse { .. }
        | Error::FeatureDisabled { .. }
        | Error::TaxonomyShrank { .. }
        | Error::Google(Failure { retry: Retry::Never, .. })
        | Error::NoCredentialsKey
        | Error::CredentialsUnreadable { .. } => Code::FailedPrecondition,
        Error::FlagChanged { .. } | Error::TaxonomyChanged(_) => Code::Aborted,
        Error::Unauthenticated(_) => Code::Unauthenticated,
        Error::PermissionDenied(_) => Code::PermissionDenied,
        Error::RateLimited { .. } => Code::ResourceExhausted,
        Error::DeadlineExceeded(_) => Code::DeadlineExceeded,
        Error::DatabaseUnavailable(_)
        | Error::Draining
        | Error::KeysUnavailable
        | Error::ConnectionExpired
        | Error::Google(_) => Code::Unavailable,
        Error::Internal(_) => Code::Internal,
    }
}
