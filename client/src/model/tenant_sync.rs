//! How a tenant's two sides stand.

use std::str::FromStr;

use category_mirror_proto::v1;
use chrono::{DateTime, Utc};

use super::{CategorySet, Run, wire};
use crate::Error;

open_enum! {
    /// Why a tenant is, or is not, in sync. Exactly one: the first of [`SyncCause::ALL`] that holds.
    SyncCause {
        /// The last look failed, or nobody knows whether a write took effect.
        NotKnown = 1, "unknown";
        /// Google's list no longer has a category that the platform wants.
        CategoryRetired = 2, "category_retired";
        /// What the platform wants is written, and Google has not published it yet.
        EditInReview = 3, "edit_in_review";
        /// Google shows the public something else than the merchant's record says, which is what the platform wants.
        GoogleEdited = 4, "google_edited";
        /// Google has what the platform wants, and the public sees it.
        InSync = 5, "in_sync";
        /// No real run has succeeded yet.
        NeverSynced = 6, "never_synced";
        /// A platform category stands for something else than it did.
        MappingChanged = 7, "mapping_changed";
        /// The platform wants something else than the last successful real run left.
        PlatformChanged = 8, "platform_changed";
        /// The merchant's record was changed, and not by us.
        MerchantEdited = 9, "merchant_edited";
        /// Google says that the location is closed for good, so it is left alone.
        LocationClosed = 10, "location_closed";
        /// What the platform wants is written and not published: Google takes the location for a copy of another one.
        DuplicateLocation = 11, "duplicate_location";
        /// What the platform wants is written and not published: the merchant has no voice.
        NoVoiceOfMerchant = 12, "no_voice_of_merchant";
    }
}

open_enum! {
    /// Why Google does not publish edits of a location.
    LocationIssue {
        /// It is closed for good. Real runs of `platform_to_gbp` leave it alone.
        Closed = 1, "location_closed";
        /// Google takes it for a copy of another location.
        Duplicate = 2, "duplicate_location";
        /// The merchant has no voice: the location is not verified, or no longer.
        NoVoiceOfMerchant = 3, "no_voice_of_merchant";
    }
}

open_enum! {
    /// What a person decides about a tenant.
    SyncDecision {
        /// Google's categories become the platform's.
        AcceptGoogle = 1, "accept_google";
        /// The platform's categories are written once more.
        PushAgain = 2, "push_again";
        /// Everything stays as it is, until another decision.
        Ignore = 3, "ignore";
    }
}

open_enum! {
    /// What became of a decision.
    SyncDecisionState {
        /// The run that executes it is live.
        Pending = 1, "pending";
        /// That run has succeeded, or the decision needs none.
        Executed = 2, "executed";
        /// That run has ended, and has not succeeded: a person has to decide again.
        Failed = 3, "failed";
    }
}

impl SyncCause {
    /// Every cause, in the order in which they are looked for.
    pub const ALL: [Self; 12] = [
        Self::NotKnown,
        Self::LocationClosed,
        Self::CategoryRetired,
        Self::DuplicateLocation,
        Self::NoVoiceOfMerchant,
        Self::EditInReview,
        Self::GoogleEdited,
        Self::InSync,
        Self::NeverSynced,
        Self::MappingChanged,
        Self::PlatformChanged,
        Self::MerchantEdited,
    ];

    pub(crate) fn to_wire(self) -> i32 {
        match self {
            Self::NotKnown => v1::tenant_sync::Cause::Unknown,
            Self::CategoryRetired => v1::tenant_sync::Cause::CategoryRetired,
            Self::EditInReview => v1::tenant_sync::Cause::EditInReview,
            Self::GoogleEdited => v1::tenant_sync::Cause::GoogleEdited,
            Self::InSync => v1::tenant_sync::Cause::InSync,
            Self::NeverSynced => v1::tenant_sync::Cause::NeverSynced,
            Self::MappingChanged => v1::tenant_sync::Cause::MappingChanged,
            Self::PlatformChanged => v1::tenant_sync::Cause::PlatformChanged,
            Self::MerchantEdited => v1::tenant_sync::Cause::MerchantEdited,
            Self::LocationClosed => v1::tenant_sync::Cause::LocationClosed,
            Self::DuplicateLocation => v1::tenant_sync::Cause::DuplicateLocation,
            Self::NoVoiceOfMerchant => v1::tenant_sync::Cause::NoVoiceOfMerchant,
            Self::Unknown(number) => return number,
        }
        .into()
    }
}

impl LocationIssue {
    /// What it means for edits, in a few words.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Closed => "Google calls it closed for good, so a real run leaves it alone",
            Self::Duplicate => "Google takes it for a copy of another location and does not publish edits of it",
            Self::NoVoiceOfMerchant => "Google does not publish edits of it until the merchant has a voice",
            Self::Unknown(_) => "Google may not publish edits of it",
        }
    }
}

impl SyncDecision {
    pub(crate) fn to_wire(self) -> i32 {
        match self {
            Self::AcceptGoogle => v1::tenant_sync_decision::Decision::AcceptGoogle,
            Self::PushAgain => v1::tenant_sync_decision::Decision::PushAgain,
            Self::Ignore => v1::tenant_sync_decision::Decision::Ignore,
            Self::Unknown(number) => return number,
        }
        .into()
    }
}

impl FromStr for SyncCause {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let known = || Self::ALL.map(|cause| cause.to_string()).join(", ");
        let cause = Self::ALL.into_iter().find(|cause| cause.to_string() == text);
        cause.ok_or_else(|| Error::setting(format!("cause {text:?}: must be one of {}", known())))
    }
}

impl FromStr for SyncDecision {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let all = [Self::AcceptGoogle, Self::PushAgain, Self::Ignore];
        let decision = all.into_iter().find(|decision| decision.to_string() == text);
        decision.ok_or_else(|| {
            Error::setting(format!("decision {text:?}: must be one of {}", all.map(|d| d.to_string()).join(", ")))
        })
    }
}

/// How the platform and Google stand to each other for one tenant, as runs have found it.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TenantSync {
    /// `tenants/{tenant}/sync`.
    pub name: String,
    /// The tenant, `tenants/{tenant}`.
    pub tenant: String,
    /// Its organization, `organizations/{organization}`.
    pub organization: Option<String>,
    /// Why it is, or is not, in sync: with the platform's side as it is now where one tenant was asked for, in lists as a run last found it.
    pub cause: SyncCause,
    /// Since when that is what runs find; `None`: none has looked yet.
    pub cause_time: Option<DateTime<Utc>>,
    /// Whether the cause is neither in sync, nor an edit in review, nor unknown.
    pub out_of_sync: bool,
    /// When a run found what is told here of Google.
    pub observe_time: Option<DateTime<Utc>>,
    /// That run, `tenants/{tenant}/runs/{run}`.
    pub observe_run: Option<String>,
    /// What the platform wants; `None`: nothing that could be written.
    pub desired: Option<CategorySet>,
    /// Why `desired` is `None`.
    pub desired_error: Option<String>,
    /// The categories of `desired` that Google's list has no more, `categories/gcid:…`.
    pub retired_categories: Vec<String>,
    /// What a run last wrote to Google.
    pub written: Option<CategorySet>,
    /// When it did.
    pub write_time: Option<DateTime<Utc>>,
    /// That run.
    pub write_run: Option<String>,
    /// What the merchant's record says.
    pub merchant: Option<CategorySet>,
    /// What the public sees.
    pub public: Option<CategorySet>,
    /// What is written and not published yet.
    pub in_review: Option<CategorySet>,
    /// Why Google does not publish edits of the location, also where another cause comes first. Empty: it does, or it was not read yet.
    pub location_issues: Vec<LocationIssue>,
    /// When a real run of either strategy last succeeded; `None` in lists.
    pub last_success_time: Option<DateTime<Utc>>,
    /// Since when the cause is unknown.
    pub observe_failure_time: Option<DateTime<Utc>>,
    /// The run whose look failed then.
    pub observe_failure_run: Option<String>,
    /// When somebody had changed back what a run had left, the oldest first.
    pub overwrite_times: Vec<DateTime<Utc>>,
    /// Whether a person has to decide before anything is written to Google.
    pub in_conflict: bool,
    /// Since when.
    pub conflict_time: Option<DateTime<Utc>>,
    /// The last decision.
    pub decision: Option<TenantSyncDecision>,
}

/// What a person has decided about a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TenantSyncDecision {
    /// What was decided.
    pub decision: SyncDecision,
    /// Who decided.
    pub caller: String,
    /// When.
    pub decide_time: Option<DateTime<Utc>>,
    /// Why.
    pub reason: String,
    /// The run that executes the decision, `tenants/{tenant}/runs/{run}`; `None`: it needs none.
    pub run: Option<String>,
    /// What became of the decision.
    pub state: SyncDecisionState,
    /// Why the run did not succeed, such as `GUARD` or `CANCELLED`.
    pub run_reason: Option<String>,
}

/// A decision that was recorded.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TenantSyncDecisionResult {
    /// How the tenant stands now.
    pub tenant_sync: TenantSync,
    /// The run that executes the decision; `None`: it needs none.
    pub run: Option<Run>,
}

impl TenantSync {
    pub(crate) fn from_wire(wire: v1::TenantSync) -> Self {
        Self {
            name: wire.name,
            tenant: wire.tenant,
            organization: wire::text(wire.organization),
            cause: SyncCause::from_wire(wire.cause),
            cause_time: wire::time(wire.cause_time),
            out_of_sync: wire.out_of_sync,
            observe_time: wire::time(wire.observe_time),
            observe_run: wire::text(wire.observe_run),
            desired: wire.desired.map(CategorySet::from_wire),
            desired_error: wire::text(wire.desired_error),
            retired_categories: wire.retired_categories,
            written: wire.written.map(CategorySet::from_wire),
            write_time: wire::time(wire.write_time),
            write_run: wire::text(wire.write_run),
            merchant: wire.merchant.map(CategorySet::from_wire),
            public: wire.public.map(CategorySet::from_wire),
            in_review: wire.in_review.map(CategorySet::from_wire),
            location_issues: wire.location_issues.into_iter().map(LocationIssue::from_wire).collect(),
            last_success_time: wire::time(wire.last_success_time),
            observe_failure_time: wire::time(wire.observe_failure_time),
            observe_failure_run: wire::text(wire.observe_failure_run),
            overwrite_times: wire.overwrite_times.into_iter().filter_map(|time| wire::time(Some(time))).collect(),
            in_conflict: wire.in_conflict,
            conflict_time: wire::time(wire.conflict_time),
            decision: wire.decision.map(TenantSyncDecision::from_wire),
        }
    }
}

impl TenantSyncDecision {
    fn from_wire(wire: v1::TenantSyncDecision) -> Self {
        Self {
            decision: SyncDecision::from_wire(wire.decision),
            caller: wire.caller,
            decide_time: wire::time(wire.decide_time),
            reason: wire.reason,
            run: wire::text(wire.run),
            state: SyncDecisionState::from_wire(wire.state),
            run_reason: wire::text(wire.run_reason),
        }
    }
}

impl TenantSyncDecisionResult {
    pub(crate) fn from_wire(wire: v1::DecideTenantSyncResponse) -> Option<Self> {
        let tenant_sync = TenantSync::from_wire(wire.tenant_sync?);
        Some(Self { tenant_sync, run: wire.run.map(Run::from_wire) })
    }
}
