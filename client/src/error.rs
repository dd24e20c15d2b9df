//! Errors of calls.

use std::{collections::BTreeMap, error, fmt, time::Duration};

use tonic_types::StatusExt;

use crate::{Code, Printable};

/// Why a call failed: the server's error, or why there was no response.
///
/// Opaque, so that its representation can change. `Display` is one line without control characters.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    code: Code,
    message: String,
    reason: Option<String>,
    metadata: BTreeMap<String, String>,
    violations: Vec<FieldViolation>,
    retry_after: Option<Duration>,
}

/// A field of the request that the server rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct FieldViolation {
    /// Path of the field in the request, such as `tenant.display_name`.
    pub field: String,
    /// What is wrong with the value.
    pub description: String,
}

impl Error {
    /// Returns the class of the error.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// Returns the server's reason code, such as `TENANT_NOT_FOUND`. `None`: the server sent none, or did not respond.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// Returns the server's description of the error. It may contain control characters; `Display` escapes them.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns the values of the message for programs, such as `flag` of a `FEATURE_DISABLED`.
    #[must_use]
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.0.metadata
    }

    /// Returns all fields that the server rejected.
    #[must_use]
    pub fn field_violations(&self) -> &[FieldViolation] {
        &self.0.violations
    }

    /// Returns how long the server asks the client to wait before it retries.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether the resource does not exist, or the caller may not see it.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.code() == Code::NotFound
    }

    /// Whether the name is already in use.
    #[must_use]
    pub fn is_already_exists(&self) -> bool {
        self.code() == Code::AlreadyExists
    }

    /// Whether a value of the request is invalid.
    #[must_use]
    pub fn is_invalid_argument(&self) -> bool {
        self.code() == Code::InvalidArgument
    }

    /// Whether the server is unreachable or cannot serve now. The same call may succeed later.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        self.code() == Code::Unavailable
    }

    /// Whether the token is missing or invalid.
    #[must_use]
    pub fn is_unauthenticated(&self) -> bool {
        self.code() == Code::Unauthenticated
    }

    /// Whether the caller's role or token does not permit the call.
    #[must_use]
    pub fn is_permission_denied(&self) -> bool {
        self.code() == Code::PermissionDenied
    }

    /// Whether the tenant has a live run that does something else or cannot be joined. Metadata `run` has its name, and
    /// `join_refusal` why it cannot be joined.
    #[must_use]
    pub fn is_run_in_progress(&self) -> bool {
        self.reason() == Some("RUN_IN_PROGRESS")
    }

    /// Whether a feature flag is off. Metadata `flag` has its name.
    #[must_use]
    pub fn is_feature_disabled(&self) -> bool {
        self.reason() == Some("FEATURE_DISABLED")
    }

    /// Whether there were too many requests. [`retry_after`](Self::retry_after) returns how long to wait.
    #[must_use]
    pub fn is_rate_limited(&self) -> bool {
        self.code() == Code::ResourceExhausted
    }

    /// Whether the server refused the call because of its rate, and returned how long to wait.
    pub(crate) fn asks_to_come_back(&self) -> bool {
        self.reason() == Some("RATE_LIMITED") && self.retry_after().is_some()
    }

    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            code,
            message: message.into(),
            reason: None,
            metadata: BTreeMap::new(),
            violations: Vec::new(),
            retry_after: None,
        }))
    }

    /// An invalid setting of the client.
    pub(crate) fn setting(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgument, message)
    }

    pub(crate) fn from_status(status: &tonic::Status) -> Self {
        if let Some(cause) = error::Error::source(status) {
            return Self::from_transport(cause);
        }
        let details = status.get_error_details();
        let mut error = Self::new(Code::from_wire(status.code()), status.message());
        if let Some(info) = details.error_info() {
            error.0.reason = Some(info.reason.clone()).filter(|reason| !reason.is_empty());
            error.0.metadata = info.metadata.clone().into_iter().collect();
        }
        if let Some(request) = details.bad_request() {
            let violations = request.field_violations.iter();
            error.0.violations = violations
                .map(|v| FieldViolation { field: v.field.clone(), description: v.description.clone() })
                .collect();
        }
        error.0.retry_after = details.retry_info().and_then(|info| info.retry_delay);
        error
    }

    /// No response from the server. The code that the transport reports depends on where the connection broke, so it is
    /// not used.
    fn from_transport(cause: &(dyn error::Error + 'static)) -> Self {
        let chain: Vec<_> = std::iter::successors(Some(cause), |cause| cause.source()).collect();
        if chain.iter().any(|cause| cause.is::<tonic::TimeoutExpired>()) {
            return Self::new(Code::DeadlineExceeded, "no response in time");
        }
        // The chain repeats the same fact with increasing detail; the outermost error is the least specific.
        let mut words: Vec<String> = chain.iter().map(ToString::to_string).collect();
        words.dedup();
        Self::new(Code::Unavailable, format!("no connection to the server: {}", words.join(": ")))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code())?;
        if let Some(reason) = self.reason() {
            write!(f, " ({})", Printable(reason))?;
        }
        let message = self.message();
        write!(f, ": {}", Printable(message))?;
        // The server's message already contains the violations; another server's may only have their number.
        let is_said =
            |violation: &FieldViolation| message.contains(&violation.field) && message.contains(&violation.description);
        let mut lead = " [";
        for violation in self.field_violations().iter().filter(|violation| !is_said(violation)) {
            write!(f, "{lead}{}: {}", Printable(&violation.field), Printable(&violation.description))?;
            lead = "; ";
        }
        if lead == "; " { f.write_str("]") } else { Ok(()) }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("code", &self.0.code)
            .field("reason", &self.0.reason)
            .field("message", &self.0.message)
            .field("metadata", &self.0.metadata)
            .field("field_violations", &self.0.violations)
            .field("retry_after", &self.0.retry_after)
            .finish()
    }
}

impl error::Error for Error {}
