//! What the project is about, without I/O and without a clock: category sets, their difference, plans, runs and their life,
//! feature flags.

mod backoff;
mod caller;
mod category_set;
mod change;
mod credentials;
mod failure;
mod flag;
mod gcid;
mod mapping;
mod plan;
mod platform_category;
mod run;
mod secret;
mod tenant;
mod trace;
mod verdict;

pub use backoff::Backoff;
pub use caller::{Caller, Role, TenantScope};
pub use category_set::{CategorySet, GbpCategory, InvalidSet};
pub use change::{Change, ChangeCounts, Place, Placed, apply, diff};
pub use credentials::{AccountCredentials, AuthorizedUser, RECHECK, Rejection, Sealed};
pub use failure::{Failure, FailureReason, Retry};
pub use flag::{Flag, FlagChange, FlagSetting, FlagState, Percent, ProcessFlags, Rollout};
pub use gcid::{Gcid, InvalidGcid};
pub use mapping::{Mapped, Merged, SourceError, Unmapped, map_to_gbp};
pub use plan::{Objection, Plan};
pub use platform_category::{MAX_ADDITIONAL, PlatformCategory, Slug, TenantCategories};
pub use run::{Run, RunError, RunId, RunKind, RunResult, RunState, Skip, SkipReason, Strategy};
pub use secret::Secret;
pub use tenant::{AccountId, InvalidId, LocationId, OrganizationId, Tenant, TenantId};
pub use trace::TraceParent;
pub use verdict::{VerdictSource, Why, evaluate};
