//! Classes of errors.

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)+) => {
        /// The class of an [`Error`](crate::Error): a gRPC status code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* $variant,)+
        }

        impl Code {
            /// Returns gRPC's name of the code, such as `NOT_FOUND`.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            pub(crate) fn from_wire(code: tonic::Code) -> Self {
                match code {
                    $(tonic::Code::$variant => Self::$variant,)+
                    // A status with code OK is never an error, so an error that claims it is a broken response.
                    tonic::Code::Ok => Self::Internal,
                }
            }
        }
    };
}

codes! {
    /// The call was cancelled between the client and the server.
    Cancelled = "CANCELLED",
    /// The response has no code, or one that this client does not know.
    Unknown = "UNKNOWN",
    /// A value of the request is invalid; see [`field_violations`](crate::Error::field_violations).
    InvalidArgument = "INVALID_ARGUMENT",
    /// No response in time. A write may have taken effect.
    DeadlineExceeded = "DEADLINE_EXCEEDED",
    /// The resource does not exist, or the caller may not see it.
    NotFound = "NOT_FOUND",
    /// The name is already in use.
    AlreadyExists = "ALREADY_EXISTS",
    /// The caller's role or token does not permit the call.
    PermissionDenied = "PERMISSION_DENIED",
    /// Too many requests or too much data at once; see [`retry_after`](crate::Error::retry_after).
    ResourceExhausted = "RESOURCE_EXHAUSTED",
    /// Not possible in the current state; see [`reason`](crate::Error::reason).
    FailedPrecondition = "FAILED_PRECONDITION",
    /// A concurrent change took precedence. Retry from the start.
    Aborted = "ABORTED",
    /// A value exceeds a limit.
    OutOfRange = "OUT_OF_RANGE",
    /// The server does not implement this.
    Unimplemented = "UNIMPLEMENTED",
    /// The server failed, or its response is invalid.
    Internal = "INTERNAL",
    /// The server is unreachable, or cannot serve now.
    Unavailable = "UNAVAILABLE",
    /// The server has lost data.
    DataLoss = "DATA_LOSS",
    /// The token is missing or invalid.
    Unauthenticated = "UNAUTHENTICATED",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
