//! What the project is about, without I/O and without a clock: category sets, their difference, plans, guards, runs and their
//! life, batches, feature flags, Google's list of categories.

mod access;
mod attempt;
mod catalog;
mod failure;
mod plan;
mod requests;
mod run;
mod tenant;
pub mod text;

pub use access::caller::{Caller, Role, TenantScope};
pub use access::credentials::{
    AccountCredentials, AuthorizedUser, EncryptedCredentials, MAX_REJECTION_WAIT, REJECTION_RETRY_INTERVAL, Rejection,
};
pub use access::flag::{Flag, FlagChange, FlagSetting, FlagState, Percent, ProcessFlags, Rollout};
pub use access::flag_evaluation::{FlagOrigin, FlagReason, evaluate};
pub use access::secret::{Secret, public_url};
pub use attempt::{
    AppliedPlan, AttemptOutcome, AttemptStatus, Conclusion, CredentialsSignal, DriftAssessment, RecordedSync,
    SyncChange, SyncConclusion, SyncEnd, SyncRecord, SyncTracker, UpstreamSignal, WriteCheck, categories_changed,
    check_write, closed_location_skip, conflict_skip, cooldown_skip, credentials_signal, defect, failure_scope,
    full_guard, location_changed, no_account, no_location, not_revertible, observed_gcids, overrides_beyond_confirmed,
    replaces_plan, source_failure, tenant_deleted, unknown_outcome, upstream_signal, write_not_sent,
};
pub use catalog::category::{Category, EitherCategory, GbpCategory, TenantCategory, WrongTarget};
pub use catalog::category_index::{CategoryIndex, CategoryMatch};
pub use catalog::category_set::{CategorySet, InvalidSet};
pub use catalog::gcid::{Gcid, InvalidGcid};
pub use catalog::locale::{InvalidCode, LanguageCode, Locale, RegionCode};
pub use catalog::mapping::{
    MappingResult, MergedCategory, PlatformCatalog, SourceCategory, SourceError, UnmappedCategory, candidate_slugs,
    map_to_gbp, map_to_platform,
};
pub use catalog::mapping_state::{CatalogEntry, MappingState, RegionalMapping, TaxonomyLookup, mappings};
pub use catalog::platform_category::{MAX_ADDITIONAL, PlatformCategory, Slug, TenantCategories};
pub use catalog::taxonomy::{
    CompleteTaxonomy, InvalidTaxonomyList, MAX_SHRINK_PERCENT, Renamed, TaxonomyDiff, TaxonomyPage, TaxonomyPages,
    TaxonomyRead, TaxonomyVersion,
};
pub use failure::{Failure, FailureReason, Retry};
pub use plan::change::{CategoryRole, Change, ChangeCounts, RecordedChange, SetMember, apply, diff, set_members, undo};
pub use plan::complete::Complete;
pub use plan::drift::{
    Baseline, ConflictHistory, Decision, DecisionRecord, DecisionState, DesiredState, DriftCause, DriftInputs, GbpRead,
    GbpState, MAX_OVERWRITES, OVERWRITE_WINDOW, ResolvedCategory, observation_digest,
};
pub use plan::guard::{GuardContext, GuardLimits, GuardOutcome, GuardRule, GuardVerdict, enforce, evaluate_guards};
pub use plan::location_issue::LocationIssue;
pub use plan::observation::Observation;
pub use plan::revert::{NotRevertible, RevertTarget};
pub use plan::write_intent::{WriteIntent, WriteOutcome, visible_changes};
pub use plan::{Plan, PlanSource, RecordedPlan, StaleInput, ValidationError, named_as_observed};
pub use requests::{
    Affected, AffectedMapping, EndedRuns, MappingEffect, NewCategory, NewTenant, PlatformCategoryChange, RunFilter,
    SyncFilter, SyncStats, TenantChange,
};
pub use run::backoff::Backoff;
pub use run::batch::{
    Batch, BatchChanges, BatchCounts, BatchGuardVerdict, BatchId, BatchState, FlagAtAcceptance, RunOverrides,
    StoppedRuns, batch_name, overridden_run_count, parse_batch_name,
};
pub use run::batch_guard::{BatchGuardRule, changes_primary};
pub use run::capability::{GbpWriteCapability, PlatformWriteCapability};
pub use run::join::{Join, JoinRefusal, Joiner, LiveBatch, LiveRun};
pub use run::kind::{RunId, RunKind, Strategy};
pub use run::run_options::{CONFLICT_CHECK, COOLDOWN_CHECK, RunOptions, View};
pub use run::trace::{TraceContext, TraceParent};
pub use run::trace_state::TraceState;
pub use run::{Attempt, AttemptState, Run, RunError, RunResult, RunState, Skip, SkipReason};
pub use tenant::tenant_sync::{DesiredRecord, RunStamp, Stamped, TenantSync, WrittenSet};
pub use tenant::{AccountId, InvalidId, LocationId, OrganizationId, Tenant, TenantId};
