//! Parses requests that create a batch.

use std::collections::BTreeSet;

use category_mirror_proto::v1::{self as proto, mirror_categories_request::Target};

use crate::api::decode::{overrides::overrides, request};
use crate::{
    app::BatchRequest,
    domain::{BatchGuardRule, GuardRule, OrganizationId, RunKind, RunOverrides},
    error::{Error, Violations},
};

/// Parses a request that creates a batch. `None`: the request is for a single tenant, or has no target.
pub(in crate::api) fn batch_request(message: &proto::MirrorCategoriesRequest) -> Result<Option<BatchRequest>, Error> {
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
    let (guards, reason) = (&message.override_guards, &message.reason);
    let all = [BatchGuardRule::ALL.iter().map(|rule| Rule::Batch(*rule)).collect(), run_rules()].concat();
    let (rules, reason) =
        overrides(&mut violations, guards, reason, "guard of a batch or of its runs", &all, Rule::as_str);
    let overrides = rules.iter().filter_map(|rule| if let Rule::Batch(rule) = rule { Some(*rule) } else { None });
    let run_guards = rules.iter().filter_map(|rule| if let Rule::Run(rule) = rule { Some(*rule) } else { None });
    let (overrides, guards) = (overrides.collect(), run_guards.collect::<BTreeSet<_>>());
    check_confirmation(&mut violations, &guards, message);
    let run_overrides = RunOverrides { guards, limit: message.confirm_override_count };
    let request_id = request::request_id(&mut violations, message.request_id.clone());
    let (strategy, organization) = violations.finish_with(strategy.zip(target))?;
    Ok(Some(BatchRequest {
        organization,
        kind: RunKind { strategy, dry_run: message.dry_run },
        confirmed: message.confirm_tenant_count,
        overrides,
        run_overrides,
        reason: reason.unwrap_or_default(),
        request_id,
    }))
}

/// A guard that a batch can override.
#[derive(Clone, Copy)]
enum Rule {
    /// A guard of the batch as a whole.
    Batch(BatchGuardRule),
    /// A guard of each of its runs.
    Run(GuardRule),
}

impl Rule {
    fn as_str(self) -> &'static str {
        match self {
            Self::Batch(rule) => rule.as_str(),
            Self::Run(rule) => rule.as_str(),
        }
    }
}

fn run_rules() -> Vec<Rule> {
    GuardRule::ALL.iter().map(|rule| Rule::Run(*rule)).collect()
}

/// Checks that run guards are overridden for a number of runs that the caller confirms, and only by a real batch: a dry
/// one shows what they stop.
fn check_confirmation(
    violations: &mut Violations,
    guards: &BTreeSet<GuardRule>,
    message: &proto::MirrorCategoriesRequest,
) {
    const FIELD: &str = "confirm_override_count";
    let names: Vec<&str> = guards.iter().map(|rule| rule.as_str()).collect();
    match message.confirm_override_count {
        _ if message.dry_run && !guards.is_empty() => {
            let problem = format!("{} guards runs, and a dry batch shows what that stops", names.join(", "));
            violations.add("override_guards", problem);
        }
        None if !guards.is_empty() => {
            violations.add(FIELD, format!("is required to override {}: for how many runs", names.join(", ")));
        }
        Some(_) if guards.is_empty() => {
            violations.add(FIELD, "is required to be absent where no guard of runs is overridden")
        }
        Some(count) if count < 1 => violations.add(FIELD, "must be at least 1"),
        _ => {}
    }
}
