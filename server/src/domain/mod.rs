//! What the project is about, without I/O and without a clock: category sets, their difference, plans, guards, runs and their
//! life, batches, feature flags, Google's list of categories.

mod backoff;
mod batch;
mod batch_guard;
mod caller;
mod category;
mod category_index;
mod category_set;
mod change;
mod complete;
mod credentials;
mod drift;
mod failure;
mod flag;
mod gcid;
mod guard;
mod join;
mod locale;
mod location_issue;
mod mapping;
mod observation;
mod orders;
mod plan;
mod platform_category;
mod revert;
#[cfg(test)]
mod round_trip_tests;
mod run;
mod secret;
mod standing;
mod target;
mod taxonomy;
mod tenant;
mod tenant_sync;
pub mod text;
mod trace;
mod trace_state;
mod trigram;
mod verdict;
mod write_intent;

pub use backoff::Backoff;
pub use batch::{
    Admission, Batch, BatchChanges, BatchCounts, BatchId, BatchState, BatchVerdict, RunOverrides, StoppedRuns,
    batch_name, let_through_by, parse_batch_name,
};
pub use batch_guard::{BatchRule, changes_primary};
pub use caller::{Caller, Role, TenantScope};
pub use category::{Category, EitherCategory, GbpCategory, OtherSide, TenantCategory};
pub use category_index::{CategoryIndex, CategoryMatch};
pub use category_set::{CategorySet, InvalidSet};
pub use change::{Change, ChangeCounts, Place, Placed, RecordedChange, apply, diff, placed, undo};
pub use complete::Complete;
pub use credentials::{AccountCredentials, AuthorizedUser, MAX_REJECTION_WAIT, RECHECK, Rejection, Sealed};
pub use drift::{
    AtGoogle, Baseline, Cause, Choice, Contest, Decided, Decision, DecisionState, FLIP_WINDOW, Facts, Look, MAX_FLIPS,
    Wanted, digest_of,
};
pub use failure::{Failure, FailureReason, Retry};
pub use flag::{Flag, FlagChange, FlagSetting, FlagState, Percent, ProcessFlags, Rollout};
pub use gcid::{Gcid, InvalidGcid};
pub use guard::{Circumstances, GuardLimits, GuardOutcome, GuardRule, GuardVerdict, enforce, judge};
pub use join::{Join, JoinRefusal, Joiner, LiveBatch, LiveRun};
pub use locale::{InvalidCode, LanguageCode, Locale, RegionCode};
pub use location_issue::LocationIssue;
pub use mapping::{
    Counterpart, Mapped, Merged, PlatformSide, SourceError, Unmapped, candidate_slugs, map_to_gbp, map_to_platform,
};
pub use observation::Observation;
pub use orders::{CONFLICT_CHECK, COOLDOWN_CHECK, Orders, View};
pub use plan::{Moved, Objection, Plan, PlanSource, RecordedPlan, named_as_observed};
pub use platform_category::{MAX_ADDITIONAL, PlatformCategory, Slug, TenantCategories};
pub use revert::{NotRevertible, WayBack};
pub use run::{Attempt, AttemptResult, Run, RunError, RunId, RunKind, RunResult, RunState, Skip, SkipReason, Strategy};
pub use secret::{Secret, public_url};
pub use standing::{CatalogEntry, RegionalMapping, Standing, Standings, mappings};
pub use target::{WritesGbp, WritesPlatform};
pub use taxonomy::{
    BrokenList, CompleteTaxonomy, MAX_SHRINK_PERCENT, Reading, Renamed, TaxonomyDiff, TaxonomyPage, TaxonomyPages,
    TaxonomyVersion,
};
pub use tenant::{AccountId, InvalidId, LocationId, OrganizationId, Tenant, TenantId};
pub use tenant_sync::{By, Left, TenantSync, Wish, WrittenSet};
pub use trace::{TraceContext, TraceParent};
pub use trace_state::TraceState;
pub use verdict::{VerdictSource, Why, evaluate};
pub use write_intent::{WriteIntent, WriteOutcome, visible_changes};
