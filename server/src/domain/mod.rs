//! What the project is about, without I/O and without a clock: category sets, their difference, plans, guards, runs and their
//! life, batches, feature flags, Google's list of categories.

mod attempt;
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
mod flag_evaluation;
mod gcid;
mod guard;
mod join;
mod locale;
mod location_issue;
mod mapping;
mod mapping_state;
mod observation;
mod plan;
mod platform_category;
mod revert;
#[cfg(test)]
mod round_trip_tests;
mod run;
mod run_options;
mod secret;
mod target;
mod taxonomy;
mod tenant;
mod tenant_sync;
pub mod text;
mod trace;
mod trace_state;
mod trigram;
mod write_intent;

pub use attempt::{
    AppliedPlan, AttemptOutcome, AttemptStatus, Conclusion, CredentialsSignal, DriftAssessment, RecordedSync,
    SyncChange, SyncConclusion, SyncEnd, SyncRecord, SyncTracker, UpstreamSignal, WriteCheck, categories_changed,
    check_write, closed_location_skip, conflict_skip, cooldown_skip, credentials_signal, defect, failure_scope,
    full_guard, location_changed, no_account, no_location, not_revertible, observed_gcids, overrides_beyond_confirmed,
    replaces_plan, source_failure, tenant_deleted, unknown_outcome, upstream_signal, write_not_sent,
};
pub use backoff::Backoff;
pub use batch::{
    Batch, BatchChanges, BatchCounts, BatchGuardVerdict, BatchId, BatchState, FlagAtAcceptance, RunOverrides,
    StoppedRuns, batch_name, overridden_run_count, parse_batch_name,
};
pub use batch_guard::{BatchGuardRule, changes_primary};
pub use caller::{Caller, Role, TenantScope};
pub use category::{Category, EitherCategory, GbpCategory, TenantCategory, WrongTarget};
pub use category_index::{CategoryIndex, CategoryMatch};
pub use category_set::{CategorySet, InvalidSet};
pub use change::{CategoryRole, Change, ChangeCounts, RecordedChange, SetMember, apply, diff, set_members, undo};
pub use complete::Complete;
pub use credentials::{
    AccountCredentials, AuthorizedUser, EncryptedCredentials, MAX_REJECTION_WAIT, REJECTION_RETRY_INTERVAL, Rejection,
};
pub use drift::{
    Baseline, ConflictHistory, Decision, DecisionRecord, DecisionState, DesiredState, DriftCause, DriftInputs, GbpRead,
    GbpState, MAX_OVERWRITES, OVERWRITE_WINDOW, ResolvedCategory, observation_digest,
};
pub use failure::{Failure, FailureReason, Retry};
pub use flag::{Flag, FlagChange, FlagSetting, FlagState, Percent, ProcessFlags, Rollout};
pub use flag_evaluation::{FlagOrigin, FlagReason, evaluate};
pub use gcid::{Gcid, InvalidGcid};
pub use guard::{GuardContext, GuardLimits, GuardOutcome, GuardRule, GuardVerdict, enforce, evaluate_guards};
pub use join::{Join, JoinRefusal, Joiner, LiveBatch, LiveRun};
pub use locale::{InvalidCode, LanguageCode, Locale, RegionCode};
pub use location_issue::LocationIssue;
pub use mapping::{
    MappingResult, MergedCategory, PlatformCatalog, SourceCategory, SourceError, UnmappedCategory, candidate_slugs,
    map_to_gbp, map_to_platform,
};
pub use mapping_state::{CatalogEntry, MappingState, RegionalMapping, TaxonomyLookup, mappings};
pub use observation::Observation;
pub use plan::{Plan, PlanSource, RecordedPlan, StaleInput, ValidationError, named_as_observed};
pub use platform_category::{MAX_ADDITIONAL, PlatformCategory, Slug, TenantCategories};
pub use revert::{NotRevertible, RevertTarget};
pub use run::{Attempt, AttemptState, Run, RunError, RunId, RunKind, RunResult, RunState, Skip, SkipReason, Strategy};
pub use run_options::{CONFLICT_CHECK, COOLDOWN_CHECK, RunOptions, View};
pub use secret::{Secret, public_url};
pub use target::{GbpWriteCapability, PlatformWriteCapability};
pub use taxonomy::{
    CompleteTaxonomy, InvalidTaxonomyList, MAX_SHRINK_PERCENT, Renamed, TaxonomyDiff, TaxonomyPage, TaxonomyPages,
    TaxonomyRead, TaxonomyVersion,
};
pub use tenant::{AccountId, InvalidId, LocationId, OrganizationId, Tenant, TenantId};
pub use tenant_sync::{DesiredRecord, RunStamp, Stamped, TenantSync, WrittenSet};
pub use trace::{TraceContext, TraceParent};
pub use trace_state::TraceState;
pub use write_intent::{WriteIntent, WriteOutcome, visible_changes};
