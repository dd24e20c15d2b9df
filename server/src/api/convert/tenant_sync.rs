//! How tenants stand.

use category_mirror_proto::v1::{
    self as proto,
    tenant_sync::Cause as Wire,
    tenant_sync_decision::{Decision as Decides, State},
};

use super::{
    plan::{gbp_categories, location_issues},
    time,
};
use crate::domain::{By, Cause, Decided, Decision, DecisionState, RunId, TenantSync};

pub(in crate::api) fn tenant_sync(sync: TenantSync) -> proto::TenantSync {
    let run = |run: RunId| format!("tenants/{}/runs/{run}", sync.tenant);
    let at = |by: Option<&By>| by.map(|by| time(by.at));
    let by = |by: Option<&By>| by.map(|by| run(by.run)).unwrap_or_default();
    let written = sync.written.as_ref();
    let google = sync.google.as_ref();
    let merchant = google.and_then(|google| google.merchant.as_ref()).map(gbp_categories);
    let public = google.and_then(|google| google.public.as_ref()).map(gbp_categories);
    let location_issues = location_issues(google.map(|google| google.issues.as_slice()).unwrap_or_default());
    let wanted = sync.wanted.as_ref();
    proto::TenantSync {
        name: format!("{}/sync", sync.tenant.resource_name()),
        tenant: sync.tenant.resource_name(),
        organization: sync.organization.as_ref().map(|id| id.resource_name()).unwrap_or_default(),
        cause: cause(sync.cause).into(),
        cause_time: sync.since.map(time),
        // What nobody has looked at is not known to be.
        out_of_sync: sync.since.is_some() && sync.cause.is_out_of_sync(),
        observe_time: at(sync.observed.as_ref()),
        observe_run: by(sync.observed.as_ref()),
        desired: wanted.and_then(|wanted| wanted.set.as_ref()).map(gbp_categories),
        desired_problem: wanted.and_then(|wanted| wanted.problem.clone()).unwrap_or_default(),
        retired_categories: wanted.iter().flat_map(|wanted| &wanted.retired).map(|gcid| gcid.resource_name()).collect(),
        written: written.map(|left| gbp_categories(&left.what.set)),
        write_time: at(written.map(|left| &left.by)),
        write_run: by(written.map(|left| &left.by)),
        in_review: merchant.clone().filter(|_| google.is_some_and(|google| google.in_review)),
        public: public.or_else(|| merchant.clone()),
        merchant,
        last_success_time: sync.last_success_at.map(time),
        failed_look_time: at(sync.failed.as_ref()),
        failed_look_run: by(sync.failed.as_ref()),
        flip_times: sync.contest.flips.iter().copied().map(time).collect(),
        contested: sync.contest.contested_at.is_some(),
        contest_time: sync.contest.contested_at.map(time),
        decision: sync.contest.decided.map(|decided| decision(decided, run)),
        location_issues,
    }
}

fn cause(cause: Cause) -> Wire {
    match cause {
        Cause::InSync => Wire::InSync,
        Cause::PlatformChanged => Wire::PlatformChanged,
        Cause::MappingChanged => Wire::MappingChanged,
        Cause::MerchantEdited => Wire::MerchantEdited,
        Cause::GoogleEdited => Wire::GoogleEdited,
        Cause::EditInReview => Wire::EditInReview,
        Cause::CategoryRetired => Wire::CategoryRetired,
        Cause::NeverSynced => Wire::NeverSynced,
        Cause::Unknown => Wire::Unknown,
        Cause::LocationClosed => Wire::LocationClosed,
        Cause::DuplicateLocation => Wire::DuplicateLocation,
        Cause::NoVoiceOfMerchant => Wire::NoVoiceOfMerchant,
    }
}

/// A decision as the protocol has it.
pub(super) fn decides(decision: Decision) -> Decides {
    match decision {
        Decision::AcceptGoogle => Decides::AcceptGoogle,
        Decision::PushAgain => Decides::PushAgain,
        Decision::Ignore => Decides::Ignore,
    }
}

fn decision(decided: Decided, name: impl Fn(RunId) -> String) -> proto::TenantSyncDecision {
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
