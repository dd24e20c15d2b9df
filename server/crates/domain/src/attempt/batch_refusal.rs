//! The failures of runs that their batch lets not write.

use super::super::{Batch, BatchGuardRule, Failure, FailureReason, GuardVerdict, batch_name};

/// The failure of a run that would be one more than a guard of its batch allows. `limit` is how many may write.
#[must_use]
pub fn full_guard(batch: &Batch, rule: BatchGuardRule, limit: i64) -> Failure {
    let kind = if rule == BatchGuardRule::Primary { "another primary category" } else { "a change" };
    let message = format!(
        "guard {rule} of {}: {} of its {} tenants would get {kind}, at most {limit} may; override {rule} with a reason to go on",
        batch_name(batch.id),
        limit + 1,
        batch.tenants,
    );
    let failure = Failure::permanent(FailureReason::Guard, message);
    failure.with("rule", rule).with("value", limit + 1).with("limit", limit)
}

/// The failure of a run that would be one more than its batch's caller has confirmed overrides for. `overridden` are the guards that would
/// stop it without the override.
#[must_use]
pub fn overrides_beyond_confirmed(batch: &Batch, overridden: &[GuardVerdict]) -> Failure {
    let limit = batch.max_overrides.unwrap_or_default();
    let rules: Vec<&str> = overridden.iter().map(|verdict| verdict.rule.as_str()).collect();
    let stopping: Vec<String> = overridden.iter().map(ToString::to_string).collect();
    let message = format!(
        "stopped before writing, by {}: {} overrides that for {limit} runs, as confirmed, and as many have been let through; see what another \
         dry batch says, or ask for this run alone with override_guards {}",
        stopping.join(", "),
        batch_name(batch.id),
        rules.join(", "),
    );
    let failure = Failure::permanent(FailureReason::Guard, message).with("rules", rules.join(","));
    let Some(first) = overridden.first() else { return failure };
    failure.with("rule", first.rule).with("value", first.value).with("limit", first.limit).with("confirmed", limit)
}
