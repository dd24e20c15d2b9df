//! Why a run failed.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// Defines an enum whose variants have one text each, in code, SQL and on the wire.
macro_rules! text_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$variant_doc])* #[serde(rename = $text)] $variant,)+ }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its one text.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// The value with this text.
            #[must_use]
            pub fn from_text(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == text)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(super) use text_enum;

text_enum! {
    /// The reason of a failed run, or of a failed attempt.
    FailureReason {
        /// The source has nothing to mirror.
        EmptySource = "EMPTY_SOURCE",
        /// The primary category maps to nothing.
        UnmappedPrimary = "UNMAPPED_PRIMARY",
        /// Google refuses a category.
        InvalidCategory = "INVALID_CATEGORY",
        /// More additional categories than Google takes.
        TooManyCategories = "TOO_MANY_CATEGORIES",
        /// The tenant names no location.
        NoLocation = "NO_LOCATION",
        /// The tenant was deleted before its run began.
        TenantNotFound = "TENANT_NOT_FOUND",
        /// Google does not know the location.
        LocationNotFound = "LOCATION_NOT_FOUND",
        /// Google refuses us.
        PermissionDenied = "PERMISSION_DENIED",
        /// Google refuses our credentials.
        CredentialsRejected = "CREDENTIALS_REJECTED",
        /// The account's own credentials are encrypted with a key that this server does not have.
        CredentialsUnreadable = "CREDENTIALS_UNREADABLE",
        /// Google's quota is used up.
        QuotaExhausted = "QUOTA_EXHAUSTED",
        /// Google does not answer, or answers that it cannot.
        UpstreamUnavailable = "UPSTREAM_UNAVAILABLE",
        /// Google's answer cannot be read.
        UpstreamInvalid = "UPSTREAM_INVALID",
        /// Google refuses the update for a reason of its own; the metadata has it.
        UpstreamRejected = "UPSTREAM_REJECTED",
        /// A guard stops the run before it writes.
        Guard = "GUARD",
        /// The target is no longer what the run to be taken back has left.
        NotRevertible = "NOT_REVERTIBLE",
        /// The tenant's categories were changed between the read and the write.
        TargetChanged = "TARGET_CHANGED",
        /// The location is not what was written.
        VerifyMismatch = "VERIFY_MISMATCH",
        /// The last attempt failed with an error that would have been retried.
        AttemptsExhausted = "ATTEMPTS_EXHAUSTED",
        /// An error of the service's own.
        Internal = "INTERNAL",
    }
}

impl FailureReason {
    /// Whether only an answer of Google's leads to it, so that it proves that Google works. Credentials that were rejected do not: that
    /// may be known from before, and be about one account only.
    #[must_use]
    pub fn proves_upstream_reachable(self) -> bool {
        use FailureReason::{InvalidCategory, LocationNotFound, PermissionDenied, UpstreamRejected, VerifyMismatch};
        matches!(self, InvalidCategory | LocationNotFound | PermissionDenied | UpstreamRejected | VerifyMismatch)
    }
}

/// Whether, and when, an attempt that failed is made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Another attempt would fail in the same way.
    Never,
    /// After the backoff.
    Backoff,
    /// After the backoff, and not before this long.
    After(Duration),
}

/// What Google says of a location that was changed too often: it alone has to wait, for hours.
const THROTTLED: &str = "THROTTLED";
/// The value of failures that are known from before.
const CACHED: &str = "remembered";
/// The value of failures that say nothing of the credentials, although Google refused these.
const ACCEPTED_ELSEWHERE: &str = "accepted_elsewhere";
/// The value of failures that cost their run a wait, and no attempt.
const WAITS: &str = "waits";
/// The value of failures that a list has to be read from its beginning for.
const PAGE_TOKEN: &str = "page_token";

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The reason.
    pub reason: FailureReason,
    /// For people: what happened, with the values.
    pub message: String,
    /// The values, for programs.
    pub metadata: BTreeMap<String, String>,
    /// The `details` of Google's error; `Null` where there are none.
    pub upstream_details: serde_json::Value,
    /// Whether to try again.
    pub retry: Retry,
}

impl Failure {
    /// A failure that another attempt would meet again.
    #[must_use]
    pub fn permanent(reason: FailureReason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            metadata: BTreeMap::new(),
            upstream_details: serde_json::Value::Null,
            retry: Retry::Never,
        }
    }

    /// A failure that may pass.
    #[must_use]
    pub fn transient(reason: FailureReason, message: impl Into<String>) -> Self {
        Self { retry: Retry::Backoff, ..Self::permanent(reason, message) }
    }

    /// Adds a value for programs.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl fmt::Display) -> Self {
        self.metadata.insert(key.to_owned(), value.to_string());
        self
    }

    /// Whether Google sends one location away for a while, so that it says nothing of any other.
    #[must_use]
    pub fn is_about_one_location(&self) -> bool {
        self.reason == FailureReason::QuotaExhausted
            && self.metadata.get("upstream_reason").is_some_and(|reason| reason == THROTTLED)
    }

    /// The same failure, for a page whose token Google no longer takes.
    #[must_use]
    pub fn of_page_token(self) -> Self {
        self.with(PAGE_TOKEN, "refused")
    }

    /// Whether the list has to be read from its beginning.
    #[must_use]
    pub fn is_of_page_token(&self) -> bool {
        self.metadata.contains_key(PAGE_TOKEN)
    }

    /// The same failure for whoever was not sent to Google, because it is known what it would say.
    #[must_use]
    pub fn cached(self) -> Self {
        self.with(CACHED, true)
    }

    /// Whether it is known from before.
    #[must_use]
    pub fn is_cached(&self) -> bool {
        self.metadata.contains_key(CACHED)
    }

    /// The failure of a run that does not know whether its write took effect: whoever reads of it has to know that the target may not be as
    /// it was.
    #[must_use]
    pub fn with_unknown_write(mut self) -> Self {
        self.message.push_str("; whether its last write took effect is not known, the next run will see");
        self.with("write_outcome", "unknown")
    }

    /// The same failure of a call whose credentials Google takes for other calls.
    #[must_use]
    pub fn but_accepted_elsewhere(self) -> Self {
        self.with(ACCEPTED_ELSEWHERE, true)
    }

    /// Whether Google takes the credentials that it refused here for other calls.
    #[must_use]
    pub fn is_accepted_elsewhere(&self) -> bool {
        self.metadata.contains_key(ACCEPTED_ELSEWHERE)
    }

    /// The same failure for a run that has no part in it: it is tried again after `wait`, and the attempt is not counted.
    #[must_use]
    pub fn waiting(self, wait: Duration) -> Self {
        Self { retry: Retry::After(wait), ..self.with(WAITS, true) }
    }

    /// Whether its attempt is not to be counted, because the run has no part in it.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.metadata.contains_key(WAITS)
    }

    /// The failure of a run whose last attempt failed with `self`.
    #[must_use]
    pub fn exhausted(self, attempts: i32) -> Self {
        Self {
            reason: FailureReason::AttemptsExhausted,
            message: format!("attempt {attempts} of {attempts} failed: {}", self.message),
            retry: Retry::Never,
            ..self.clone()
        }
        .with("last_reason", self.reason)
    }
}
