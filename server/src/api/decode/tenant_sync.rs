//! Parses requests about sync states.

use category_mirror_proto::v1::{self as proto, tenant_sync::Cause as Wire, tenant_sync_decision::Decision as Decides};

use crate::api::decode::{overrides::guards, request};
use crate::{
    app::{DecideRequest, PageRequest},
    domain::{Decision, DriftCause, GuardRule, SyncFilter, TenantId, TraceContext},
    error::{Error, Violations},
};

/// Returns the tenant of `tenants/{tenant}/sync`.
pub(in crate::api) fn tenant(name: &str) -> Result<TenantId, Error> {
    let mut violations = Violations::default();
    let tenant = request::required(&mut violations, "name", name, parse);
    violations.finish_with(tenant)
}

fn parse(name: &str) -> Result<TenantId, String> {
    let tenant = name.strip_suffix("/sync").filter(|tenant| tenant.starts_with("tenants/"));
    let tenant = tenant.ok_or("must be `tenants/{tenant}/sync`")?;
    TenantId::parse(tenant).map_err(|error| error.to_string())
}

/// Parses the filter and the page, whose token is bound to the filter.
pub(in crate::api) fn parse_filter(
    message: &proto::ListTenantSyncsRequest,
) -> Result<(SyncFilter, PageRequest), Error> {
    let mut violations = Violations::default();
    let named = causes(&mut violations, &message.causes);
    let is_wanted = |cause: &DriftCause| {
        (named.is_empty() || named.contains(cause)) && (!message.out_of_sync_only || cause.is_out_of_sync())
    };
    // Each cause once, in a fixed order: the order of the causes in a request has no meaning.
    let causes: Vec<DriftCause> = DriftCause::ALL.iter().copied().filter(is_wanted).collect();
    if causes.is_empty() {
        violations.add("out_of_sync_only", "leaves none of the causes");
    }
    let causes = if causes.len() == DriftCause::ALL.len() { Vec::new() } else { causes };
    let organization = request::organization(&mut violations, "organization", &message.organization);
    let texts: Vec<&str> = causes.iter().map(|cause| cause.as_str()).collect();
    let filters = [
        "tenant syncs",
        &texts.join(","),
        organization.as_ref().map_or("", |organization| organization.as_str()),
        if message.in_conflict_only { "in_conflict" } else { "" },
    ];
    let page = PageRequest::new(violations, message.page_size, &message.page_token, &filters)?;
    Ok((SyncFilter { causes, organization, in_conflict: message.in_conflict_only, visible_tenants: None }, page))
}

fn causes(violations: &mut Violations, numbers: &[i32]) -> Vec<DriftCause> {
    let mut causes = Vec::new();
    for (position, number) in numbers.iter().enumerate() {
        causes.push(match Wire::try_from(*number) {
            Ok(Wire::Unknown) => DriftCause::Unknown,
            Ok(Wire::CategoryRetired) => DriftCause::CategoryRetired,
            Ok(Wire::EditInReview) => DriftCause::EditInReview,
            Ok(Wire::GoogleEdited) => DriftCause::GoogleEdited,
            Ok(Wire::InSync) => DriftCause::InSync,
            Ok(Wire::NeverSynced) => DriftCause::NeverSynced,
            Ok(Wire::MappingChanged) => DriftCause::MappingChanged,
            Ok(Wire::PlatformChanged) => DriftCause::PlatformChanged,
            Ok(Wire::MerchantEdited) => DriftCause::MerchantEdited,
            Ok(Wire::LocationClosed) => DriftCause::LocationClosed,
            Ok(Wire::DuplicateLocation) => DriftCause::DuplicateLocation,
            Ok(Wire::NoVoiceOfMerchant) => DriftCause::NoVoiceOfMerchant,
            Ok(Wire::Unspecified) | Err(_) => {
                violations.add(&format!("causes[{position}]"), format!("{number} is no cause"));
                continue;
            }
        });
    }
    causes
}

/// Parses a decision.
pub(in crate::api) fn decision(
    message: proto::DecideTenantSyncRequest,
    traceparent: Option<TraceContext>,
) -> Result<DecideRequest, Error> {
    let mut violations = Violations::default();
    let v = &mut violations;
    let tenant = request::required(v, "name", &message.name, parse);
    let decision = match Decides::try_from(message.decision) {
        Ok(Decides::AcceptGoogle) => Some(Decision::AcceptGoogle),
        Ok(Decides::PushAgain) => Some(Decision::PushAgain),
        Ok(Decides::Ignore) => Some(Decision::Ignore),
        Ok(Decides::Unspecified) | Err(_) => {
            v.add("decision", "is required: DECISION_ACCEPT_GOOGLE, DECISION_PUSH_AGAIN or DECISION_IGNORE");
            None
        }
    };
    let reason = v.take("reason", request::reason(&message.reason));
    if reason.as_ref().is_some_and(|reason| reason.trim().is_empty()) {
        v.add("reason", "is required");
    }
    let override_guards = guards(v, &message.override_guards, "guard", GuardRule::ALL, GuardRule::as_str);
    if decision == Some(Decision::Ignore) && !message.override_guards.is_empty() {
        v.add("override_guards", "must be empty with DECISION_IGNORE: it starts no run");
    }
    let request_id = request::request_id(v, message.request_id);
    let ((tenant, decision), reason) = violations.finish_with(tenant.zip(decision).zip(reason))?;
    let override_guards = override_guards.into_iter().collect();
    Ok(DecideRequest { tenant, decision, override_guards, reason, request_id, traceparent })
}
