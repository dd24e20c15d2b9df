//! Converts sync states to messages.

use category_mirror_proto::v1::{
    self as proto,
    tenant_sync::Cause as Wire,
    tenant_sync_decision::{Decision as Decides, State},
};

use super::{
    plan::{gbp_categories, location_issues},
    time,
};
use crate::domain::{Decision, DecisionRecord, DecisionState, DriftCause, RunId, RunStamp, TenantSync};

pub(in crate::api) fn tenant_sync(sync: TenantSync) -> proto::TenantSync {
    let run = |run: RunId| format!("tenants/{}/runs/{run}", sync.tenant);
    let at = |by: Option<&RunStamp>| by.map(|by| time(by.at));
    let by = |by: Option<&RunStamp>| by.map(|by| run(by.run)).unwrap_or_default();
    let written = sync.written.as_ref();
    let google = sync.google.as_ref();
    let merchant = google.and_then(|google| google.merchant.as_ref()).map(gbp_categories);
    let public = google.and_then(|google| google.public.as_ref()).map(gbp_categories);
    let location_issues = location_issues(google.map(|google| google.issues.as_slice()).unwrap_or_default());
    let desired = sync.desired.as_ref();
    proto::TenantSync {
        name: format!("{}/sync", sync.tenant.resource_name()),
        tenant: sync.tenant.resource_name(),
        organization: sync.organization.as_ref().map(|id| id.resource_name()).unwrap_or_default(),
        cause: cause(sync.cause).into(),
        cause_time: sync.cause_at.map(time),
        // Without an observation, it is not known to be out of sync.
        out_of_sync: sync.cause_at.is_some() && sync.cause.is_out_of_sync(),
        observe_time: at(sync.observed.as_ref()),
        observe_run: by(sync.observed.as_ref()),
        desired: desired.and_then(|desired| desired.set.as_ref()).map(gbp_categories),
        desired_error: desired.and_then(|desired| desired.error.clone()).unwrap_or_default(),
        retired_categories: desired
            .iter()
            .flat_map(|desired| &desired.retired)
            .map(|gcid| gcid.resource_name())
            .collect(),
        written: written.map(|left| gbp_categories(&left.what.set)),
        write_time: at(written.map(|left| &left.by)),
        write_run: by(written.map(|left| &left.by)),
        in_review: merchant.clone().filter(|_| google.is_some_and(|google| google.in_review)),
        public: public.or_else(|| merchant.clone()),
        merchant,
        last_success_time: sync.last_success_at.map(time),
        observe_failure_time: at(sync.observe_failed.as_ref()),
        observe_failure_run: by(sync.observe_failed.as_ref()),
        overwrite_times: sync.conflicts.overwritten_at.iter().copied().map(time).collect(),
        in_conflict: sync.conflicts.conflict_at.is_some(),
        conflict_time: sync.conflicts.conflict_at.map(time),
        decision: sync.conflicts.decided.map(|decided| decision(decided, run)),
        location_issues,
    }
}

fn cause(cause: DriftCause) -> Wire {
    match cause {
        DriftCause::InSync => Wire::InSync,
        DriftCause::PlatformChanged => Wire::PlatformChanged,
        DriftCause::MappingChanged => Wire::MappingChanged,
        DriftCause::MerchantEdited => Wire::MerchantEdited,
        DriftCause::GoogleEdited => Wire::GoogleEdited,
        DriftCause::EditInReview => Wire::EditInReview,
        DriftCause::CategoryRetired => Wire::CategoryRetired,
        DriftCause::NeverSynced => Wire::NeverSynced,
        DriftCause::Unknown => Wire::Unknown,
        DriftCause::LocationClosed => Wire::LocationClosed,
        DriftCause::DuplicateLocation => Wire::DuplicateLocation,
        DriftCause::NoVoiceOfMerchant => Wire::NoVoiceOfMerchant,
    }
}

/// Converts a decision.
pub(super) fn decides(decision: Decision) -> Decides {
    match decision {
        Decision::AcceptGoogle => Decides::AcceptGoogle,
        Decision::PushAgain => Decides::PushAgain,
        Decision::Ignore => Decides::Ignore,
    }
}

fn decision(decided: DecisionRecord, name: impl Fn(RunId) -> String) -> proto::TenantSyncDecision {
    proto::TenantSyncDecision {
        decision: decides(decided.decision).into(),
        run: decided.run.map(name).unwrap_or_default(),
        state: match decided.state {
            DecisionState::Pending => State::Pending,
            DecisionState::Executed => State::Executed,
            DecisionState::Failed => State::Failed,
        }
        .into(),
        run_reason: decided.run_reason.unwrap_or_default(),
        caller: decided.caller,
        decide_time: Some(time(decided.at)),
        reason: decided.reason,
    }
}
