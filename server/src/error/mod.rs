//! Errors of calls.

mod metadata;
mod reason;
mod violations;

use std::time::Duration;

use crate::domain::{
    AccountId, Failure, Flag, FlagReason, JoinRefusal, Locale, MAX_SHRINK_PERCENT, NotRevertible, Slug, TenantId,
};

pub use reason::Reason;
pub use violations::{FieldViolation, Violations};

/// The cause of an error: logged once, never sent to the caller.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Kinds of named resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// `tenants/{tenant}`.
    Tenant,
    /// `tenants/{tenant}/runs/{run}`.
    Run,
    /// `platformCategories/{slug}`.
    PlatformCategory,
    /// `flags/{flag}`.
    Flag,
    /// `organizations/{organization}`.
    Organization,
    /// `batches/{batch}`.
    Batch,
    /// `accounts/{account}/credentials`.
    Credentials,
}

/// Why a call failed. Each variant has one reason code and one gRPC code (`api::status`).
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Fields of the request are invalid; has all violations.
    #[error("the request is invalid: {}", list(.0))]
    Invalid(Vec<FieldViolation>),
    /// The request id was used with other arguments within the last 24 hours.
    #[error("request_id `{0}` was used with other arguments within the last 24 hours")]
    RequestIdReused(String),
    /// The page token is malformed, or belongs to other filters.
    #[error("the page token is invalid, or belongs to a request with other filters")]
    InvalidPageToken,
    /// The resource does not exist, or the caller may not see it.
    #[error("{1} does not exist")]
    NotFound(Resource, String),
    /// The resource already exists.
    #[error("{1} already exists")]
    AlreadyExists(Resource, String),
    /// The location belongs to another tenant.
    #[error("locations/{0} belongs to another tenant")]
    LocationTaken(String),
    /// The tenant has no GBP location.
    #[error("tenants/{0} has no GBP location; set gbp_account and gbp_location first")]
    NoLocation(TenantId),
    /// The target of a batch has no tenant with a GBP location.
    #[error("{0} has no tenant with a GBP location")]
    NoTenantWithLocation(String),
    /// The caller overrides run guards for another number of runs than the latest dry batch shows.
    #[error(
        "the overridden guards stop {expected} runs in {dry_batch}, but {confirmed} were confirmed; {}, or run a new dry batch",
        if *expected > 0 { format!("confirm {expected}") } else { "override other run guards, or none".to_owned() }
    )]
    OverrideMismatch {
        /// The latest dry batch of the same target and strategy.
        dry_batch: String,
        /// Number of runs that the dry batch shows.
        expected: i64,
        /// Number of runs that the caller confirmed.
        confirmed: i64,
    },
    /// The caller overrides run guards, but no dry batch shows for how many runs.
    #[error(
        "run guards can only be overridden after a dry batch of the same target and strategy has ended; run a dry batch first"
    )]
    NoDryBatch,
    /// The caller confirmed another number of tenants.
    #[error("{target} has {expected} tenants to mirror, but {confirmed} were confirmed")]
    ConfirmationMismatch {
        /// The target of the batch, such as `organizations/{organization}`.
        target: String,
        /// Number of tenants in the batch.
        expected: i64,
        /// Number of tenants that the caller confirmed.
        confirmed: i64,
    },
    /// Another run of the tenant is live.
    #[error("{run} is live ({kind}); wait until it ends, or cancel it")]
    RunInProgress {
        /// Resource name of the live run.
        run: String,
        /// Its strategy, and whether it is a dry run.
        kind: String,
    },
    /// A live run of the tenant has a write to the current location whose outcome is not known yet.
    #[error(
        "{run} ({kind}) has a write to the current location whose outcome is not known yet, so the tenant keeps its location until a read \
         resolves it; {}",
        if *waits_for_credentials {
            "Google rejects the credentials for that read, so the run waits for up to 24 hours: set new ones with SetCredentials, or have \
             Google accept the current ones again, and retry"
        } else {
            "retry once the run has ended"
        }
    )]
    UnsettledWrite {
        /// Resource name of the live run.
        run: String,
        /// Its strategy, and whether it is a dry run.
        kind: String,
        /// Whether Google rejects the credentials with which the location is read.
        waits_for_credentials: bool,
    },
    /// A live run of the tenant was requested with the same arguments, but cannot be joined.
    #[error("{run} is live ({kind}) and cannot be joined: {why}; wait until it ends or cancel it, then retry")]
    CannotJoin {
        /// Resource name of the live run.
        run: String,
        /// Its strategy, and whether it is a dry run.
        kind: String,
        /// Why it cannot be joined.
        why: JoinRefusal,
    },
    /// The run cannot be reverted.
    #[error("{run} cannot be reverted: {why}")]
    NotRevertible {
        /// Resource name of the run.
        run: String,
        /// Why it cannot be reverted.
        why: NotRevertible,
    },
    /// Tenants have the platform category.
    #[error("platformCategories/{slug} is in use by {tenants} tenants")]
    CategoryInUse {
        /// The platform category.
        slug: Slug,
        /// Number of tenants that have it.
        tenants: i64,
    },
    /// A feature flag is off, at least for this tenant.
    #[error("{flag} is off: {why}")]
    FeatureDisabled {
        /// The flag.
        flag: Flag,
        /// Why it is off.
        why: FlagReason,
    },
    /// Another caller has changed the flag since it was read.
    #[error("{flag} has changed: its revision is {revision}; read it again and retry")]
    FlagChanged {
        /// The flag.
        flag: Flag,
        /// Its current revision. 0: it has never been set.
        revision: i64,
    },
    /// No list of Google's categories has been imported.
    #[error("no list of Google's categories has been imported for {0}; import it with RefreshTaxonomy")]
    NoTaxonomy(Locale),
    /// The list is much shorter than the previous version, and `allow_shrink` is not set.
    #[error(
        "the list for {locale} has {imported} categories, more than {MAX_SHRINK_PERCENT} % fewer than the {current} of the previous version; \
         nothing was changed; if the list is correct, set allow_shrink and a reason"
    )]
    TaxonomyShrank {
        /// Region and language of the list.
        locale: Locale,
        /// Number of categories in the newest version.
        current: i64,
        /// Number of categories that Google lists now.
        imported: i64,
    },
    /// A concurrent import finished first.
    #[error(
        "a concurrent import for {0} finished first; this one changed nothing: run RefreshTaxonomy again if needed"
    )]
    TaxonomyChanged(Locale),
    /// Google returned no usable response. Nothing was changed.
    #[error("{}; nothing was changed", .0.message)]
    Google(Failure),
    /// The server has no key to encrypt credentials with.
    #[error("this server has no key to encrypt credentials with: set CREDENTIALS_KEYS_FILE")]
    NoCredentialsKey,
    /// The credentials of an account cannot be decrypted.
    #[error("the credentials of accounts/{account} cannot be used: {problem}")]
    CredentialsUnreadable {
        /// The account.
        account: AccountId,
        /// Id of the key that encrypted them.
        key_id: String,
        /// Why they cannot be decrypted.
        problem: String,
    },
    /// The token is missing or invalid.
    #[error("{0}")]
    Unauthenticated(String),
    /// The token cannot be verified: no key set of the identity provider is known, or it is too old.
    #[error("tokens cannot be verified now, because the identity provider's keys cannot be fetched; retry")]
    KeysUnavailable,
    /// The role or scope of the token does not permit the call.
    #[error("{0}")]
    PermissionDenied(String),
    /// A limit is exceeded.
    #[error("{problem} (limit {limit}); retry in {wait:?}")]
    RateLimited {
        /// Which limit.
        problem: &'static str,
        /// Its value.
        limit: usize,
        /// Time after which the call may succeed.
        wait: Duration,
    },
    /// The call took longer than its deadline, or than CALL_TIMEOUT.
    #[error("no response within {0:?}; a write may still have taken effect")]
    DeadlineExceeded(Duration),
    /// The server is shutting down. Another one accepts the call.
    #[error("the server is shutting down; reconnect")]
    Draining,
    /// The connection has reached its maximum age. Only streams live long enough to get this error.
    #[error("the connection has reached its maximum age; reconnect and reopen the stream")]
    ConnectionExpired,
    /// PostgreSQL is unreachable.
    #[error("the database is currently unavailable; retry")]
    DatabaseUnavailable(#[source] BoxError),
    /// A defect of the server.
    #[error("internal error")]
    Internal(#[source] BoxError),
}

impl Error {
    /// Returns an error with one field violation.
    #[must_use]
    pub fn invalid(field: &str, description: impl ToString) -> Self {
        Self::Invalid(vec![FieldViolation { field: field.to_owned(), description: description.to_string() }])
    }
}

fn list(violations: &[FieldViolation]) -> String {
    let parts: Vec<String> = violations.iter().map(|v| format!("{} {}", v.field, v.description)).collect();
    parts.join("; ")
}
