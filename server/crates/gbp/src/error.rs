//! Why a client cannot be made, and how a write failed.

use category_mirror_domain::{Failure, FailureReason};

/// Settings with which no client can be made.
#[derive(Debug, thiserror::Error)]
pub enum GbpConfigError {
    /// The machine has no usable root certificates, or the HTTP client refuses to start for another reason.
    #[error("failed to create the HTTP client: {0}")]
    Http(String),
    /// The fixed access token cannot be sent in a header.
    #[error("the access token must be printable ASCII characters without spaces")]
    AccessToken,
}

/// How a write failed: what matters next is whether it may have happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteFailure {
    /// Certainly not written: it never left, or Google refused it.
    Refused(Failure),
    /// Perhaps written: it left, and no answer that can be understood came back. Read before anything is written again.
    Unknown(Failure),
    /// Certainly not written: the deadline left no time for a request, so none was sent.
    Expired,
}

impl WriteFailure {
    pub(crate) fn new(is_certain: bool, failure: Failure) -> Self {
        if is_certain { Self::Refused(failure) } else { Self::Unknown(failure) }
    }

    /// The failure alone, where it does not matter what became of the call.
    #[must_use]
    pub fn into_failure(self) -> Failure {
        match self {
            Self::Refused(failure) | Self::Unknown(failure) => failure,
            Self::Expired => Failure::transient(
                FailureReason::UpstreamUnavailable,
                "the deadline left no time for a request, so none was sent",
            ),
        }
    }
}
