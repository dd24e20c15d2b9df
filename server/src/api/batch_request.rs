//! Reading a request for a batch.

use category_mirror_proto::v1::{self as proto, mirror_categories_request::Target};

use super::{overrides::overrides, request};
use crate::{
    app::BatchRequest,
    domain::{BatchRule, OrganizationId, RunKind},
    error::{Error, Violations},
};

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
    // The guards of the batch. Those of its runs are not lifted here: each of them is decided about for one run.
    let (guards, reason) = (&message.override_guards, &message.reason);
    let (overrides, reason) =
        overrides(&mut violations, guards, reason, "guard of a batch", BatchRule::ALL, BatchRule::as_str);
    let request_id = request::request_id(&mut violations, message.request_id.clone());
    let (strategy, organization) = violations.finish_with(strategy.zip(target))?;
    Ok(Some(BatchRequest {
        organization,
        kind: RunKind { strategy, dry_run: message.dry_run },
        confirmed: message.confirm_tenant_count,
        overrides,
        reason: reason.unwrap_or_default(),
        request_id,
    }))
}
