//! Converts feature flags to messages.

use category_mirror_proto::v1 as proto;

use super::time;
use crate::{
    app::{Evaluation, FlagDetails},
    domain::{Flag, FlagChange, FlagOrigin, FlagReason, FlagState, OrganizationId, Rollout, TenantId},
};

pub(in crate::api) fn flag(shown: FlagDetails) -> proto::Flag {
    let FlagDetails { flag, rollout, set, forced } = shown;
    proto::Flag {
        revision: set.map_or(0, |(revision, _)| revision),
        forced: match forced {
            None => proto::flag::Forced::Unspecified,
            Some(false) => proto::flag::Forced::Off,
            Some(true) => proto::flag::Forced::On,
        }
        .into(),
        update_time: set.map(|(_, updated_at)| time(updated_at)),
        ..self::rollout(flag, rollout)
    }
}

fn rollout(flag: Flag, rollout: Rollout) -> proto::Flag {
    proto::Flag {
        name: flag.resource_name(),
        state: match rollout.state {
            FlagState::Off => proto::flag::State::Off,
            FlagState::On => proto::flag::State::On,
            FlagState::Partial => proto::flag::State::Partial,
        }
        .into(),
        percent: rollout.percent.value(),
        tenants: rollout.tenants.iter().map(TenantId::resource_name).collect(),
        organizations: rollout.organizations.iter().map(OrganizationId::resource_name).collect(),
        excluded_tenants: rollout.excluded_tenants.iter().map(TenantId::resource_name).collect(),
        excluded_organizations: rollout.excluded_organizations.iter().map(OrganizationId::resource_name).collect(),
        ..Default::default()
    }
}

pub(in crate::api) fn flag_change(change: FlagChange) -> proto::FlagChange {
    let FlagChange { id: _, flag, revision, before, after, caller, reason, changed_at } = change;
    proto::FlagChange {
        flag: flag.resource_name(),
        revision,
        before: before.map(|before| proto::Flag { revision: revision - 1, ..rollout(flag, before) }),
        after: Some(proto::Flag { revision, ..rollout(flag, after) }),
        caller,
        reason,
        change_time: Some(time(changed_at)),
    }
}

pub(in crate::api) fn evaluation(flag: Flag, tenant: &TenantId, evaluation: Evaluation) -> proto::EvaluateFlagResponse {
    use proto::evaluate_flag_response as response;
    let Evaluation { why, revision } = evaluation;
    let enabled = why.is_on();
    proto::EvaluateFlagResponse {
        enabled,
        reason: match why {
            FlagReason::ForcedOff => response::Reason::ForcedOff,
            FlagReason::SwitchedOff => response::Reason::SwitchedOff,
            FlagReason::TenantExcluded => response::Reason::TenantExcluded,
            FlagReason::OrganizationExcluded => response::Reason::OrganizationExcluded,
            FlagReason::ForcedOn => response::Reason::ForcedOn,
            FlagReason::NeverSet { .. } => response::Reason::NeverSet,
            FlagReason::SwitchedOn => response::Reason::SwitchedOn,
            FlagReason::TenantListed => response::Reason::TenantListed,
            FlagReason::OrganizationListed => response::Reason::OrganizationListed,
            FlagReason::Percentage { .. } => response::Reason::Percentage,
        }
        .into(),
        explanation: format!("{flag} is {} for {}: {why}", if enabled { "on" } else { "off" }, tenant.resource_name()),
        origin: match why.origin() {
            FlagOrigin::Environment => response::Origin::Environment,
            FlagOrigin::Database => response::Origin::Database,
            FlagOrigin::Default => response::Origin::Default,
        }
        .into(),
        revision,
    }
}
