//! Reason codes of errors, which programs depend on.

use super::{Error, Resource};
use crate::domain::{Failure, Retry};

/// Defines the reason codes as one table, so that none can be missing from [`Reason::ALL`].
macro_rules! reasons {
    ($($reason:ident => $text:literal,)+) => {
        /// Why a call failed: the value of `google.rpc.ErrorInfo.reason`. Documented in `docs/errors.md`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason {
            $(#[doc = concat!("`", $text, "`.")] $reason,)+
        }

        impl Reason {
            /// All reason codes.
            pub const ALL: &[Self] = &[$(Self::$reason,)+];

            /// Returns the code in `UPPER_SNAKE_CASE`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$reason => $text,)+
                }
            }
        }
    };
}

reasons! {
    InvalidRequest => "INVALID_REQUEST",
    RequestIdReused => "REQUEST_ID_REUSED",
    InvalidPageToken => "INVALID_PAGE_TOKEN",
    TenantNotFound => "TENANT_NOT_FOUND",
    RunNotFound => "RUN_NOT_FOUND",
    PlatformCategoryNotFound => "PLATFORM_CATEGORY_NOT_FOUND",
    FlagNotFound => "FLAG_NOT_FOUND",
    OrganizationNotFound => "ORGANIZATION_NOT_FOUND",
    BatchNotFound => "BATCH_NOT_FOUND",
    CredentialsNotFound => "CREDENTIALS_NOT_FOUND",
    TenantAlreadyExists => "TENANT_ALREADY_EXISTS",
    RunAlreadyExists => "RUN_ALREADY_EXISTS",
    PlatformCategoryAlreadyExists => "PLATFORM_CATEGORY_ALREADY_EXISTS",
    FlagAlreadyExists => "FLAG_ALREADY_EXISTS",
    OrganizationAlreadyExists => "ORGANIZATION_ALREADY_EXISTS",
    BatchAlreadyExists => "BATCH_ALREADY_EXISTS",
    CredentialsAlreadyExist => "CREDENTIALS_ALREADY_EXIST",
    LocationTaken => "LOCATION_TAKEN",
    NoLocation => "NO_LOCATION",
    ConfirmationMismatch => "CONFIRMATION_MISMATCH",
    DryBatchRequired => "DRY_BATCH_REQUIRED",
    RunInProgress => "RUN_IN_PROGRESS",
    NotRevertible => "NOT_REVERTIBLE",
    CategoryInUse => "CATEGORY_IN_USE",
    FeatureDisabled => "FEATURE_DISABLED",
    FlagChanged => "FLAG_CHANGED",
    TaxonomyNotFound => "TAXONOMY_NOT_FOUND",
    TaxonomyShrank => "TAXONOMY_SHRANK",
    TaxonomyChanged => "TAXONOMY_CHANGED",
    GoogleRefused => "UPSTREAM_REJECTED",
    GoogleUnavailable => "UPSTREAM_UNAVAILABLE",
    CredentialsKeyMissing => "CREDENTIALS_KEY_MISSING",
    CredentialsUnreadable => "CREDENTIALS_UNREADABLE",
    Unauthenticated => "UNAUTHENTICATED",
    KeysUnavailable => "KEYS_UNAVAILABLE",
    PermissionDenied => "PERMISSION_DENIED",
    RateLimited => "RATE_LIMITED",
    DeadlineExceeded => "DEADLINE_EXCEEDED",
    Draining => "DRAINING",
    ConnectionExpired => "CONNECTION_EXPIRED",
    DatabaseUnavailable => "DATABASE_UNAVAILABLE",
    Internal => "INTERNAL",
}

impl Error {
    /// Returns the reason code in `UPPER_SNAKE_CASE`.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.reason_code().as_str()
    }

    fn reason_code(&self) -> Reason {
        match self {
            Self::Invalid(_) => Reason::InvalidRequest,
            Self::RequestIdReused(_) => Reason::RequestIdReused,
            Self::InvalidPageToken => Reason::InvalidPageToken,
            Self::NotFound(Resource::Tenant, _) => Reason::TenantNotFound,
            Self::NotFound(Resource::Run, _) => Reason::RunNotFound,
            Self::NotFound(Resource::PlatformCategory, _) => Reason::PlatformCategoryNotFound,
            Self::NotFound(Resource::Flag, _) => Reason::FlagNotFound,
            Self::NotFound(Resource::Organization, _) => Reason::OrganizationNotFound,
            Self::NotFound(Resource::Batch, _) => Reason::BatchNotFound,
            Self::NotFound(Resource::Credentials, _) => Reason::CredentialsNotFound,
            Self::AlreadyExists(Resource::Tenant, _) => Reason::TenantAlreadyExists,
            Self::AlreadyExists(Resource::Run, _) => Reason::RunAlreadyExists,
            Self::AlreadyExists(Resource::PlatformCategory, _) => Reason::PlatformCategoryAlreadyExists,
            Self::AlreadyExists(Resource::Flag, _) => Reason::FlagAlreadyExists,
            Self::AlreadyExists(Resource::Organization, _) => Reason::OrganizationAlreadyExists,
            Self::AlreadyExists(Resource::Batch, _) => Reason::BatchAlreadyExists,
            Self::AlreadyExists(Resource::Credentials, _) => Reason::CredentialsAlreadyExist,
            Self::LocationTaken(_) => Reason::LocationTaken,
            Self::NoLocation(_) | Self::NoTenantWithLocation(_) => Reason::NoLocation,
            Self::ConfirmationMismatch { .. } | Self::OverrideMismatch { .. } => Reason::ConfirmationMismatch,
            Self::NoDryBatch => Reason::DryBatchRequired,
            Self::RunInProgress { .. } | Self::UnsettledWrite { .. } | Self::CannotJoin { .. } => Reason::RunInProgress,
            Self::NotRevertible { .. } => Reason::NotRevertible,
            Self::CategoryInUse { .. } => Reason::CategoryInUse,
            Self::FeatureDisabled { .. } => Reason::FeatureDisabled,
            Self::FlagChanged { .. } => Reason::FlagChanged,
            Self::NoTaxonomy(_) => Reason::TaxonomyNotFound,
            Self::TaxonomyShrank { .. } => Reason::TaxonomyShrank,
            Self::TaxonomyChanged(_) => Reason::TaxonomyChanged,
            Self::Google(Failure { retry: Retry::Never, .. }) => Reason::GoogleRefused,
            Self::Google(_) => Reason::GoogleUnavailable,
            Self::NoCredentialsKey => Reason::CredentialsKeyMissing,
            Self::CredentialsUnreadable { .. } => Reason::CredentialsUnreadable,
            Self::Unauthenticated(_) => Reason::Unauthenticated,
            Self::KeysUnavailable => Reason::KeysUnavailable,
            Self::PermissionDenied(_) => Reason::PermissionDenied,
            Self::RateLimited { .. } => Reason::RateLimited,
            Self::DeadlineExceeded(_) => Reason::DeadlineExceeded,
            Self::Draining => Reason::Draining,
            Self::ConnectionExpired => Reason::ConnectionExpired,
            Self::DatabaseUnavailable(_) => Reason::DatabaseUnavailable,
            Self::Internal(_) => Reason::Internal,
        }
    }
}
