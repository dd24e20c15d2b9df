//! The server's resources as plain data. Fields that only a newer server knows are left out.

macro_rules! open_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $wire:literal, $text:literal;)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
            /// The number of a value that only a newer server knows.
            Unknown(i32),
        }

        impl $name {
            pub(crate) fn from_wire(number: i32) -> Self {
                match number {
                    $($wire => Self::$variant,)+
                    other => Self::Unknown(other),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self {
                    // `pad`, so that tables can align it.
                    $(Self::$variant => f.pad($text),)+
                    Self::Unknown(number) => f.pad(&format!("unknown_{number}")),
                }
            }
        }

        #[cfg(feature = "serde")]
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}

mod batch;
mod category;
mod change;
mod credentials;
mod flag;
mod guard;
mod import;
mod markdown;
mod plan;
mod run;
mod stats;
mod strategy;
mod taxonomy;
mod tenant;
mod tenant_sync;
mod version;
mod wire;

pub use batch::{Batch, BatchChangeCounts, BatchGuardVerdict, BatchState, GuardCount};
pub use category::{CategorySet, GbpCategory, PlatformCategory, TenantCategories};
pub use change::{CategoryRole, CategorySetMember, Change, ChangeCounts, Operation};
pub use credentials::{Credentials, CredentialsOutcome, CredentialsState, ReencryptedCredentials, VerifiedCredentials};
pub use flag::{Flag, FlagChange, FlagEvaluation, FlagOrigin, FlagReason, FlagState};
pub use guard::{GuardOutcome, GuardVerdict};
pub use import::{ImportFailure, ImportReport};
pub use plan::{MergedCategory, Plan, UnmappedCategory, ValidationError};
pub use run::{AcceptedRun, Attempt, AttemptState, Run, RunError, RunState, UnresolvedWrite};
pub use stats::{FailureCount, SyncStats, SyncStatsPoint};
pub use strategy::{GbpView, Strategy};
pub use taxonomy::{
    AffectedMapping, CategoryMatch, MappingEffect, MappingState, MappingSuggestion, RenamedGbpCategory,
    TaxonomyRefresh, TaxonomyVersion,
};
pub use tenant::Tenant;
pub use tenant_sync::{
    LocationIssue, SyncCause, SyncDecision, SyncDecisionState, TenantSync, TenantSyncDecision, TenantSyncDecisionResult,
};
pub use version::ServerVersion;
