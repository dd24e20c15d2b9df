//! What a call can fail with.

mod metadata;
mod reason;
mod violations;

use std::time::Duration;

use crate::domain::{
    AccountId, Failure, Flag, FlagReason, JoinRefusal, Locale, MAX_SHRINK_PERCENT, NotRevertible, Slug, TenantId,
};

pub use reason::Reason;
pub use violations::{FieldViolation, Violations};

/// The cause behind an error: logged once, never sent.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Kinds of things that have names.
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

/// Why a call failed. Each has one reason string and one gRPC code (`api::status`).
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request's fields, all violations at once.
    #[error("the request is invalid: {}", list(.0))]
    Invalid(Vec<FieldViolation>),
    /// The request id was used within 24 h with other arguments.
    #[error("request_id `{0}` was used with other arguments within the last 24 hours")]
    RequestIdReused(String),
    /// The page token is not one of ours, or belongs to other filters.
    #[error("the page token is invalid, or belongs to a request with other filters")]
    InvalidPageToken,
    /// There is no such thing, or the caller may not know of it.
    #[error("{1} does not exist")]
    NotFound(Resource, String),
    /// There is one already.
    #[error("{1} exists already")]
    AlreadyExists(Resource, String),
    /// The location belongs to another tenant.
    #[error("locations/{0} belongs to another tenant")]
    LocationTaken(String),
    /// The tenant has no location.
    #[error("tenants/{0} has no GBP location; set gbp_account and gbp_location first")]
    NoLocation(TenantId),
    /// A batch of nobody: there is no tenant to mirror in its target.
    #[error("{0} has no tenant with a GBP location")]
    NoTenantWithLocation(String),
    /// The caller overrides guards for another number of runs than a dry batch has shown.
    #[error(
        "{dry_batch} says that the overridden guards let {expected} runs through, and {confirmed} were confirmed; {}, or make another dry batch",
        if *expected > 0 { format!("confirm {expected}") } else { "override other guards of runs, or none".to_owned() }
    )]
    OverrideMismatch {
        /// The last dry batch of the same target and strategy.
        dry_batch: String,
        /// How many runs it would be.
        expected: i64,
        /// How many the caller expects.
        confirmed: i64,
    },
    /// The caller overrides guards of runs that no dry batch has shown.
    #[error(
        "guards of runs are overridden for as many runs as a dry batch of the same tenants and strategy has shown, and none has ended; make one first"
    )]
    NoDryBatch,
    /// The caller expects to touch another number of tenants.
    #[error("{target} has {expected} tenants to mirror, and {confirmed} were confirmed")]
    ConfirmationMismatch {
        /// Whose tenants.
        target: String,
        /// How many there are.
        expected: i64,
        /// How many the caller expects.
        confirmed: i64,
    },
    /// Another run of the tenant is live.
    #[error("{run} is live ({kind}); wait for it or cancel it")]
    RunInProgress {
        /// The live run's name.
        run: String,
        /// Its strategy, and whether it is dry.
        kind: String,
    },
    /// A live run of the tenant has a write at the present location of which nobody knows yet whether it took effect.
    #[error(
        "{run} ({kind}) has a write at the present location whose outcome is not known yet, and the tenant keeps its location until a read of it \
         has settled that; {}",
        if *waits_for_credentials {
            "Google rejects the credentials that it is read with, so the run waits for up to 24 hours: set new ones with SetCredentials, or accept \
             the present ones again at Google, and retry"
        } else {
            "retry when the run has ended"
        }
    )]
    UnsettledWrite {
        /// The live run's name.
        run: String,
        /// Its strategy, and whether it is dry.
        kind: String,
        /// Whether the location cannot be read because of its credentials.
        waits_for_credentials: bool,
    },
    /// A run of the tenant is live that does not do what is asked for as things are now.
    #[error(
        "{run} is live ({kind}), and a request cannot join it: {why}; wait for its end, or cancel it, and ask again"
    )]
    CannotJoin {
        /// The live run's name.
        run: String,
        /// Its strategy, and whether it is dry.
        kind: String,
        /// Why not.
        why: JoinRefusal,
    },
    /// What a run wrote cannot be taken back.
    #[error("{run} cannot be taken back: {why}")]
    NotRevertible {
        /// The run's name.
        run: String,
        /// Why not.
        why: NotRevertible,
    },
    /// Tenants have the category.
    #[error("platformCategories/{slug} is in use by {tenants} tenants")]
    CategoryInUse {
        /// The category.
        slug: Slug,
        /// How many tenants have it.
        tenants: i64,
    },
    /// A feature flag is off, for the tenant in question at least.
    #[error("{flag} is off: {why}")]
    FeatureDisabled {
        /// The flag.
        flag: Flag,
        /// Why it is off.
        why: FlagReason,
    },
    /// Somebody else has changed the flag meanwhile.
    #[error("{flag} has revision {revision} meanwhile; look at it again, and decide again")]
    FlagChanged {
        /// The flag.
        flag: Flag,
        /// Its revision now; 0 while nobody has set it.
        revision: i64,
    },
    /// No list of Google's categories was imported.
    #[error("no list of Google's categories was imported for {0}; RefreshTaxonomy imports it")]
    NoTaxonomy(Locale),
    /// The list is much shorter than the one before, and nobody said that this is right.
    #[error(
        "the list for {locale} has {imported} categories, the one before has {current}: that is more than {MAX_SHRINK_PERCENT} % less, \
         and nothing was changed; if it is right, set allow_shrink and a reason"
    )]
    TaxonomyShrank {
        /// Whose list.
        locale: Locale,
        /// How many categories the newest version has.
        current: i64,
        /// How many Google lists now.
        imported: i64,
    },
    /// Another import was faster.
    #[error("another import for {0} was faster, and nothing was changed; look at what it found, or import again")]
    TaxonomyChanged(Locale),
    /// Google gave no answer that can be used, and nothing was changed.
    #[error("{}; nothing was changed", .0.message)]
    Google(Failure),
    /// There is nothing to encrypt credentials with.
    #[error("this server has no key to encrypt credentials with: set CREDENTIALS_KEYS_FILE")]
    NoCredentialsKey,
    /// An account's credentials cannot be read.
    #[error("the credentials of accounts/{account} cannot be used: {problem}")]
    CredentialsUnreadable {
        /// Whose.
        account: AccountId,
        /// The key that they are said to be encrypted with.
        key_id: String,
        /// Why.
        problem: String,
    },
    /// No identity, or none that can be believed.
    #[error("{0}")]
    Unauthenticated(String),
    /// The token cannot be verified: no key set of the identity provider is known, or none that is fresh enough.
    #[error("tokens cannot be verified now, because the identity provider's keys cannot be fetched; try again")]
    KeysUnavailable,
    /// The caller may not.
    #[error("{0}")]
    PermissionDenied(String),
    /// Too much at once.
    #[error("{problem} (limit {limit}); try again in {wait:?}")]
    RateLimited {
        /// Of what.
        problem: &'static str,
        /// How much is not too much.
        limit: usize,
        /// After how long the same call may be taken.
        wait: Duration,
    },
    /// The call took longer than its caller waits, or than any call may.
    #[error("no answer within {0:?}; a write may still have happened")]
    DeadlineExceeded(Duration),
    /// The server is shutting down; another one will answer.
    #[error("the server is shutting down; connect again")]
    Draining,
    /// The connection is as old as it gets. Only streams live long enough to meet this.
    #[error("the connection has reached its maximum age; connect again, and open the stream again")]
    ConnectionExpired,
    /// PostgreSQL is not reachable now.
    #[error("the database is not available now; try again")]
    DatabaseUnavailable(#[source] BoxError),
    /// A defect of ours.
    #[error("internal error")]
    Internal(#[source] BoxError),
}

impl Error {
    /// A single field violation.
    #[must_use]
    pub fn invalid(field: &str, description: impl ToString) -> Self {
        Self::Invalid(vec![FieldViolation { field: field.to_owned(), description: description.to_string() }])
    }
}

fn list(violations: &[FieldViolation]) -> String {
    let parts: Vec<String> = violations.iter().map(|v| format!("{} {}", v.field, v.description)).collect();
    parts.join("; ")
}
