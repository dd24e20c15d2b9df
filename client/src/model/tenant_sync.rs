//! Sync states: whether a tenant's two sides are in sync.

use std::str::FromStr;

use category_mirror_proto::v1;
use chrono::{DateTime, Utc};

use super::{CategorySet, Run, wire};
use crate::Error;

open_enum! {
    /// Why a tenant is, or is not, in sync. Exactly one cause applies: the first of [`SyncCause::ALL`] that holds.
    SyncCause {
        /// The last observation failed, or it is unknown whether a write took effect.
        NotKnown = 1, "unknown";
        /// Google's list no longer contains one of the desired categories.
        CategoryRetired = 2, "category_retired";
        /// The merchant's record has the desired categories, and Google has not published them yet.
        EditInReview = 3, "edit_in_review";
        /// The merchant's record has the desired categories, but Google decided to show the public other ones.
        GoogleEdited = 4, "google_edited";
        /// The merchant's record has the desired categories, and the public sees them.
        InSync = 5, "in_sync";
        /// No real run has succeeded yet, so there is no baseline.
        NeverSynced = 6, "never_synced";
        /// A platform category maps to another GBP category than when a real run last succeeded.
        MappingChanged = 7, "mapping_changed";
        /// The desired categories are not those that the last successful real run left.
        PlatformChanged = 8, "platform_changed";
        /// The desired categories are those that the last successful real run left, but the merchant's record has been
        /// changed.
        MerchantEdited = 9, "merchant_edited";
        /// Google reports that the location is permanently closed, so it is left unchanged.
        LocationClosed = 10, "location_closed";
        /// The merchant's record has the desired categories, but Google does not publish them, because it considers the
        /// location a duplicate of another one.
        DuplicateLocation = 11, "duplicate_location";
        /// The merchant's record has the desired categories, but Google does not publish them, because the merchant has
        /// no voice.
        NoVoiceOfMerchant = 12, "no_voice_of_merchant";
    }
}

open_enum! {
    /// Why Google does not publish edits of a location.
    LocationIssue {
        /// The location is permanently closed. Real runs of `platform_to_gbp` write nothing to it.
        Closed = 1, "location_closed";
        /// Google considers the location a duplicate of another one.
        Duplicate = 2, "duplicate_location";
        /// The merchant has no voice: the location is not verified, or no longer.
        NoVoiceOfMerchant = 3, "no_voice_of_merchant";
    }
}

open_enum! {
    /// What an operator can decide about a tenant.
    SyncDecision {
        /// A run writes Google's categories to the platform.
        AcceptGoogle = 1, "accept_google";
        /// A run writes the platform's categories to Google again.
        PushAgain = 2, "push_again";
        /// Both sides stay as they are, until another decision.
        Ignore = 3, "ignore";
    }
}

open_enum! {
    /// State of a decision.
    SyncDecisionState {
        /// The run that executes the decision is live.
        Pending = 1, "pending";
        /// The run has succeeded, or the decision needs none.
        Executed = 2, "executed";
        /// The run has ended without success, and an operator has to decide again.
        Failed = 3, "failed";
    }
}

impl SyncCause {
    /// All causes, in the order in which they are tested.
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
    /// Returns the effect on edits, in a few words.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Closed => "Google reports it as permanently closed, so a real run writes nothing to it",
            Self::Duplicate => "Google considers it a duplicate of another location and does not publish edits of it",
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

/// The sync state of one tenant, as runs have observed it.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TenantSync {
    /// Resource name, `tenants/{tenant}/sync`.
    pub name: String,
    /// The tenant, `tenants/{tenant}`.
    pub tenant: String,
    /// Its organization, `organizations/{organization}`.
    pub organization: Option<String>,
    /// The drift cause: of the current state of the platform's side, or, in lists, the cause that the last observation
    /// found.
    pub cause: SyncCause,
    /// Time since which observations have found this cause. `None`: no run has observed the tenant yet.
    pub cause_time: Option<DateTime<Utc>>,
    /// Whether the tenant is out of sync: a run has observed it, and it is neither in sync nor in review nor unknown.
    pub out_of_sync: bool,
    /// Time at which a run first observed Google's current state.
    pub observe_time: Option<DateTime<Utc>>,
    /// That run, `tenants/{tenant}/runs/{run}`.
    pub observe_run: Option<String>,
    /// The desired categories: the tenant's platform categories, mapped to GBP categories. `None`: the platform has no
    /// set that can be written.
    pub desired: Option<CategorySet>,
    /// Why `desired` is `None`.
    pub desired_error: Option<String>,
    /// The categories of `desired` that Google's list no longer contains, such as `categories/gcid:bakery`.
    pub retired_categories: Vec<String>,
    /// The categories that a run last wrote to Google. `None`: no run has written.
    pub written: Option<CategorySet>,
    /// Time of that write.
    pub write_time: Option<DateTime<Utc>>,
    /// The run that wrote, `tenants/{tenant}/runs/{run}`.
    pub write_run: Option<String>,
    /// The categories of the merchant's record. `None`: not read yet, or the location has no categories.
    pub merchant: Option<CategorySet>,
    /// The categories that the public sees.
    pub public: Option<CategorySet>,
    /// The categories that are in review: written, but not published yet.
    pub in_review: Option<CategorySet>,
    /// Why Google does not publish edits of the location, even if another cause takes precedence. Empty: Google
    /// publishes edits, or this has not been read yet.
    pub location_issues: Vec<LocationIssue>,
    /// Time at which a real run of either strategy last succeeded. `None` in lists.
    pub last_success_time: Option<DateTime<Utc>>,
    /// Time since which the cause has been unknown. `None` if the cause is known.
    pub observe_failure_time: Option<DateTime<Utc>>,
    /// The run whose observation failed at that time, `tenants/{tenant}/runs/{run}`.
    pub observe_failure_run: Option<String>,
    /// Times at which a run found that another actor had overwritten the result of an earlier run, oldest first.
    pub overwrite_times: Vec<DateTime<Utc>>,
    /// Whether the tenant is in conflict: an operator has to decide before a real run writes to Google.
    pub in_conflict: bool,
    /// Time at which the conflict started. `None`: not in conflict.
    pub conflict_time: Option<DateTime<Utc>>,
    /// The last decision. `None`: none yet.
    pub decision: Option<TenantSyncDecision>,
}

/// An operator's decision about a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TenantSyncDecision {
    /// The decision.
    pub decision: SyncDecision,
    /// The caller that decided: the subject of its token.
    pub caller: String,
    /// Time of the decision.
    pub decide_time: Option<DateTime<Utc>>,
    /// The reason that the caller gave.
    pub reason: String,
    /// The run that executes the decision, `tenants/{tenant}/runs/{run}`. `None`: the decision needs none.
    pub run: Option<String>,
    /// State of the decision.
    pub state: SyncDecisionState,
    /// Why the run did not succeed, such as `GUARD` or `CANCELLED`. `None`: the run is live or has succeeded.
    pub run_reason: Option<String>,
}

/// Result of recording a decision.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TenantSyncDecisionResult {
    /// The tenant's sync state after the decision.
    pub tenant_sync: TenantSync,
    /// The run that executes the decision. `None`: the decision needs none.
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
