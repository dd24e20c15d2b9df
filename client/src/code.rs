//! The class of an error.

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)+) => {
        /// The class of an [`Error`](crate::Error): gRPC's codes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* $variant,)+
        }

        impl Code {
            /// gRPC's own name of it, such as `NOT_FOUND`.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            pub(crate) fn from_wire(code: tonic::Code) -> Self {
                match code {
                    $(tonic::Code::$variant => Self::$variant,)+
                    // A status of code OK is never an error; one that claims to be is a broken answer.
                    tonic::Code::Ok => Self::Internal,
                }
            }
        }
    };
}

codes! {
    /// Somebody between here and the server gave up the call.
    Cancelled = "CANCELLED",
    /// The answer did not say, or said what this client does not know.
    Unknown = "UNKNOWN",
    /// A value of the request is wrong; see [`field_violations`](crate::Error::field_violations).
    InvalidArgument = "INVALID_ARGUMENT",
    /// No answer in time. A write may have happened.
    DeadlineExceeded = "DEADLINE_EXCEEDED",
    /// There is no such thing, or the caller may not know of it.
    NotFound = "NOT_FOUND",
    /// The name is taken.
    AlreadyExists = "ALREADY_EXISTS",
    /// The caller's role does not suffice.
    PermissionDenied = "PERMISSION_DENIED",
    /// Too much at once; see [`retry_after`](crate::Error::retry_after).
    ResourceExhausted = "RESOURCE_EXHAUSTED",
    /// Not in the present state of things; see [`reason`](crate::Error::reason).
    FailedPrecondition = "FAILED_PRECONDITION",
    /// Lost against another caller; worth repeating from the start.
    Aborted = "ABORTED",
    /// Beyond a limit.
    OutOfRange = "OUT_OF_RANGE",
    /// The server does not have this yet.
    Unimplemented = "UNIMPLEMENTED",
    /// The server failed, or its answer made no sense.
    Internal = "INTERNAL",
    /// The server cannot be reached, or cannot serve now.
    Unavailable = "UNAVAILABLE",
    /// The server lost data.
    DataLoss = "DATA_LOSS",
    /// No token, or not a valid one.
    Unauthenticated = "UNAUTHENTICATED",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
