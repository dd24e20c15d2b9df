//! Reading a request for a batch.

use category_mirror_proto::v1::{self as proto, mirror_categories_request::Target};

use super::request;
use crate::{
    app::BatchRequest,
    domain::{BatchRule, OrganizationId, RunKind},
    error::{Error, Violations},
};

/// The longest reason for an override, in characters.
const MAX_REASON: usize = 500;

/// Reads a request for a batch; `None` is one for a single tenant, or for nobody.
pub(super) fn batch_request(message: &proto::MirrorCategoriesRequest) -> Result<Option<BatchRequest>, Error> {
    let mut violations = Violations::default();
    let strategy = request::required_strategy(&mut violations, message.strategy);
    let target = match &message.target {
        Some(Target::Organization(organization)) => {
            request::required(&mut violations, "organization", organization, OrganizationId::parse).map(Some)
        }
        Some(Target::AllTenants(true)) => {
            if message.confirm_tenant_count.is_none() {
                violations.add("confirm_tenant_count", "is required for all tenants: how many they are");
            }
            Some(None)
        }
        Some(Target::AllTenants(false)) => {
            violations.add("all_tenants", "must be true, or not given");
            None
        }
        Some(Target::Tenant(_)) | None => return Ok(None),
    };
    if message.confirm_tenant_count.is_some_and(|count| count < 0) {
        violations.add("confirm_tenant_count", "must not be negative");
    }
    if !message.plan.is_empty() {
        violations.add("plan", "is for one tenant: it is the plan of a run");
    }
    if message.view != 0 {
        violations.add("view", "is for one tenant");
    }
    let overrides = overrides(&mut violations, message);
    let request_id = request::request_id(&mut violations, message.request_id.clone());
    let (strategy, organization) = violations.finish_with(strategy.zip(target))?;
    Ok(Some(BatchRequest {
        organization,
        kind: RunKind { strategy, dry_run: message.dry_run },
        confirmed: message.confirm_tenant_count,
        overrides,
        reason: message.reason.clone(),
        request_id,
    }))
}

/// The guards of the batch that are lifted. Those of its runs are not: each of them is decided about for one run.
fn overrides(violations: &mut Violations, message: &proto::MirrorCategoriesRequest) -> Vec<BatchRule> {
    let mut rules = Vec::new();
    for (position, name) in message.override_guards.iter().enumerate() {
        let known = BatchRule::ALL.iter().map(|rule| rule.as_str()).collect::<Vec<_>>().join(", ");
        let rule = BatchRule::from_text(name).ok_or_else(|| format!("is no guard of a batch; there are: {known}"));
        rules.extend(violations.take(&format!("override_guards[{position}]"), rule));
    }
    let reason = &message.reason;
    if reason.trim().is_empty() && !message.override_guards.is_empty() {
        violations.add("reason", "is required with override_guards");
    }
    if !reason.is_empty() && message.override_guards.is_empty() {
        violations.add("override_guards", "is required with a reason");
    }
    if reason.chars().count() > MAX_REASON || reason.chars().any(char::is_control) {
        violations.add("reason", format!("must be at most {MAX_REASON} characters, without control characters"));
    }
    rules.sort_by_key(|rule| rule.as_str());
    rules.dedup();
    rules
}
